package data

import (
	"bytes"
	_ "embed" // for the example
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed example/facts.yaml
var example []byte

// Example is a file of five facts, to be changed into one's own, in the notation that
// the ending of a name stands for: .csv, .json, .jsonl, or else YAML with comments.
func Example(ext string) ([]byte, error) {
	ext = strings.ToLower(ext)
	if ext != ".csv" && ext != ".json" && ext != ".jsonl" {
		return example, nil
	}
	set, err := Read(bytes.NewReader(example), "example", Options{})
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

// WriteExample writes Example into a new file, in the notation that the file's name ends
// in. It is n bytes long. A file that is there is not overwritten.
func WriteExample(path string) (n int, err error) {
	text, err := Example(filepath.Ext(path))
	if err != nil {
		return 0, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return 0, fmt.Errorf("%s is there already; choose another name", path)
	}
	if err != nil {
		return 0, err
	}
	if _, err = f.Write(text); err != nil {
		return 0, errors.Join(err, f.Close(), os.Remove(path))
	}
	if err = f.Close(); err != nil {
		return 0, errors.Join(err, os.Remove(path))
	}
	return len(text), nil
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

func written(e Edit) writtenFact {
	w := writtenFact{Prompt: e.Prompt, Target: e.TargetNew, Subject: e.Subject, TargetTrue: strings.Join(e.TargetTrue, ""), Paraphrases: e.Paraphrases}
	for _, p := range e.Locality[Neighborhood] {
		w.Neighbours = append(w.Neighbours, p.Prompt+" => "+p.Answers[0][0])
	}
	return w
}

func writeFacts(w io.Writer, edits []Edit, array bool) error {
	var all []writtenFact
	for _, e := range edits {
		all = append(all, written(e))
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if array {
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	for _, f := range all {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

func writeTable(b *bytes.Buffer, edits []Edit) error {
	b.WriteString("# One fact a line; a | parts the texts of a list. prompt and target are needed.\n")
	w := csv.NewWriter(b)
	rows := [][]string{{"prompt", "target", "subject", "target_true", "paraphrases", "neighbours"}}
	for _, e := range edits {
		f := written(e)
		rows = append(rows, []string{f.Prompt, f.Target, f.Subject, f.TargetTrue, strings.Join(f.Paraphrases, " | "), strings.Join(f.Neighbours, " | ")})
	}
	return w.WriteAll(rows)
}
