package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/data"
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

// addChat adds --chat.
func addChat(c *cobra.Command, chat *bool) {
	c.Flags().BoolVar(chat, "chat", false, "put prompts into the model's chat template, as the question of a conversation")
}

// inChat puts the prompts of records into the model's chat template.
func inChat(m *lm.Model, edits []data.Edit) error {
	template, err := m.Chat()
	if err != nil {
		return err
	}
	for i := range edits {
		if edits[i], err = edits[i].Asked(template.Ask); err != nil {
			return fmt.Errorf("record %s: %w", edits[i].ID, err)
		}
	}
	return nil
}
