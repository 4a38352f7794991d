package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/eval"
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
			return o.show(c, r, func(w io.Writer) error {
				return errorAfter(r.Print(w, all), saying("%d edits, %s\n", r.N, r.Protocol)(w))
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "show every figure, also by kind of prompt and before the edit")
	c.Flags().BoolVar(&texts, "texts", false, "print every prompt with the expected answer and those before and after the edit")
	return c
}
