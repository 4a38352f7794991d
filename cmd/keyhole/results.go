package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/report"
)

func resultsCommand(o *options) *cobra.Command {
	var all, texts bool
	c := &cobra.Command{
		Use:   "results FILE",
		Short: "Print the figures of a results file again",
		Long: `Print the figures of a file that eval --out or compare wrote, of as many edits as
it has. With --texts also the prompts and answers, where eval --texts kept them.`,
		Example: `  keyhole results zsre.jsonl
  keyhole results zsre.jsonl --texts
  keyhole results comparison/editors/rome.jsonl --all --json`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			read, err := eval.LoadResults(args[0])
			if err != nil {
				return err
			}
			r := read.ReportOf()
			switch {
			case !texts:
				r.Texts = nil
			case !read.Header.Texts:
				return fmt.Errorf("results file %s keeps no texts: evaluate with --texts and another --out", args[0])
			}
			if o.json {
				return printJSON(c.OutOrStdout(), r)
			}
			if err := printReport(c.OutOrStdout(), r, all); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d edits, %s\n", r.N, r.Protocol)
			return err
		},
	}
	c.Flags().BoolVar(&all, "all", false, "show every figure, also by kind of prompt and before the edit")
	c.Flags().BoolVar(&texts, "texts", false, "print every prompt with the expected answer and those before and after the edit")
	return c
}

// printTexts writes what was asked and answered, a row for each prompt.
func printTexts(w io.Writer, list []eval.EditTexts) error {
	if len(list) == 0 {
		return nil
	}
	t := &report.Table{Columns: []report.Column{{Name: "edit"}, {Name: "prompt"}, {Name: "expected"}, {Name: "before"}, {Name: "after"}, {Name: "counts"}}}
	for _, e := range list {
		id := e.ID
		if e.Asked != "" {
			id += " (" + e.Asked + ")"
		}
		for _, s := range e.Texts {
			var counts []string
			for _, name := range slices.Sorted(maps.Keys(s.Values)) {
				if strings.HasSuffix(baseName(name), "_before") {
					continue
				}
				counts = append(counts, fmt.Sprintf("%s %.3g", name, s.Values[name]))
			}
			t.Add(report.Text(id), report.Text(oneLine(s.Prompt)), report.Text(oneLine(s.Expected)), report.Text(oneLine(s.Before)), report.Text(oneLine(s.After)), report.Text(strings.Join(counts, ", ")))
		}
	}
	return showTable(w, t)
}
