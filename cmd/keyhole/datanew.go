package main

import (
	"bytes"
	"embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/data"
)

//go:embed example/facts.yaml
var examples embed.FS

func dataNewCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "new FILE",
		Short: "Write an example of a file of facts, to be changed",
		Long: `Write a file with five facts, to be changed into your own. A name that ends in
.csv gives a table, .json or .jsonl the facts as JSON, any other YAML with comments
that explain every key. A file that is there is not overwritten.`,
		Example: "  keyhole data new facts.yaml\n  keyhole data new facts.csv",
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := exampleFacts(filepath.Ext(args[0]))
			if err != nil {
				return err
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s is there already; choose another name", args[0])
			}
			if err != nil {
				return err
			}
			_, err = f.Write(text)
			if err := errorAfter(err, f.Close()); err != nil {
				return errors.Join(err, os.Remove(args[0]))
			}
			if o.json {
				return printJSON(c.OutOrStdout(), map[string]any{"file": args[0], "bytes": len(text)})
			}
			_, err = fmt.Fprintf(hinted(c), "wrote %s; change it, then: keyhole data check %s\n", args[0], shell(args[0]))
			return err
		},
	}
}

// exampleFacts is the example in the notation that an ending stands for.
func exampleFacts(ext string) ([]byte, error) {
	text, err := examples.ReadFile("example/facts.yaml")
	if err != nil {
		return nil, err
	}
	ext = strings.ToLower(ext)
	if ext != ".csv" && ext != ".json" && ext != ".jsonl" {
		return text, nil
	}
	set, err := data.Read(bytes.NewReader(text), "example", data.Options{})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if ext == ".csv" {
		err = writeTable(&b, set.Edits)
	} else {
		err = writeFacts(&b, set.Edits, ext == ".json")
	}
	return b.Bytes(), err
}

// writtenFact is a fact as a person writes it in JSON.
type writtenFact struct {
	Prompt      string   `json:"prompt"`
	Target      string   `json:"target"`
	Subject     string   `json:"subject,omitempty"`
	TargetTrue  string   `json:"target_true,omitempty"`
	Paraphrases []string `json:"paraphrases,omitempty"`
	Neighbours  []string `json:"neighbours,omitempty"`
}

func written(e data.Edit) writtenFact {
	w := writtenFact{Prompt: e.Prompt, Target: e.TargetNew, Subject: e.Subject, TargetTrue: strings.Join(e.TargetTrue, ""), Paraphrases: e.Paraphrases}
	for _, p := range e.Locality[data.Neighborhood] {
		w.Neighbours = append(w.Neighbours, p.Prompt+" => "+p.Answers[0][0])
	}
	return w
}

func writeFacts(w io.Writer, edits []data.Edit, array bool) error {
	var all []writtenFact
	for _, e := range edits {
		all = append(all, written(e))
	}
	if array {
		return printJSON(w, all)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, f := range all {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

func writeTable(b *bytes.Buffer, edits []data.Edit) error {
	b.WriteString("# One fact a line; a | parts the texts of a list. prompt and target are needed.\n")
	w := csv.NewWriter(b)
	rows := [][]string{{"prompt", "target", "subject", "target_true", "paraphrases", "neighbours"}}
	for _, e := range edits {
		f := written(e)
		rows = append(rows, []string{f.Prompt, f.Target, f.Subject, f.TargetTrue, strings.Join(f.Paraphrases, " | "), strings.Join(f.Neighbours, " | ")})
	}
	return w.WriteAll(rows)
}
