package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/workbench"
)

// loading is how a base model is to be read.
type loading struct{ opts lm.LoadOptions }

func (l *loading) add(c *cobra.Command) {
	c.Flags().StringVar(&l.opts.Pre, "pre", "", "pre-tokenizer of a GGUF file, in place of the one that it names: `name` such as llama-bpe or qwen2")
}

// open opens a bench of a base model and says what was assumed.
func (l *loading) open(c *cobra.Command, path string, threads int) (*workbench.Bench, error) {
	b, err := workbench.Open(path, threads, l.opts)
	if err != nil {
		return nil, err
	}
	printNotes(c.ErrOrStderr(), b.Model)
	return b, nil
}

// printNotes says what the files of a model leave open.
func printNotes(w io.Writer, m *lm.Model) {
	for _, note := range m.Notes() {
		fmt.Fprintf(w, "note: %s: %s\n", m.Path, note)
	}
}
