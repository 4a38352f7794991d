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

// sayUnread names the keys of a file of edits that its format does not use.
func sayUnread(c *cobra.Command, file string, set *data.Set) {
	if text := set.UnreadKeys(); text != "" {
		fmt.Fprintf(c.ErrOrStderr(), "%s %s\n", file, text)
	}
}

// addChat adds --chat.
func addChat(c *cobra.Command, chat *bool) {
	c.Flags().BoolVar(chat, "chat", false, "put prompts into the model's chat template, as the question of a conversation")
}

// inChat puts the prompts of records into the model's chat template.
func inChat(m *lm.Model, set *data.Set) error {
	template, err := m.Chat()
	if err != nil {
		return err
	}
	return set.Ask(template.Ask)
}
