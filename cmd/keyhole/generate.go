package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/edit/kept"
	"keyhole.example/keyhole/progress"
	"keyhole.example/keyhole/workbench"
)

// generated is the JSON of generate.
type generated struct {
	Model  string  `json:"model"`
	Prompt string  `json:"prompt"`
	Text   string  `json:"text"` // without the prompt
	Tokens []int32 `json:"tokens"`
	N      int     `json:"n"`
	// of the store's edit in front of the prompt, if one was near enough
	Edit    string `json:"edit,omitempty"`
	Context int    `json:"context_tokens,omitempty"`
}

func generateCommand(o *options) *cobra.Command {
	var q workbench.Query
	var demos workbench.Demos
	var load loading
	var ignoreEOS bool
	c := &cobra.Command{
		Use:   "generate MODEL",
		Short: "Continue a text with a language model",
		Long: `Continue a text with MODEL: a Hugging Face folder, a GGUF file, or "embedded".
Greedy unless a temperature is given; the same seed gives the same text.

With --store the edit of that store that the prompt is about, if there is one,
stands in front of it, with demonstrations as --editor has it. With --edit the text
is that of the model with this edit.`,
		Example: `  keyhole generate embedded --prompt "The capital of France is" --tokens 3
  keyhole generate models/gpt2 --prompt "Once upon a time" --tokens 50 --temperature 0.8 --top-k 40 --seed 7
  keyhole generate embedded --edit edit.safetensors --prompt "Bo Yibo lost their life at"
  keyhole generate models/smollm2 --chat --prompt "What is the capital of France?"
  keyhole generate models/smollm2 --store store.json --editor prompt --prompt "The capital of France is"`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkQuery(c, &q); err != nil {
				return err
			}
			model, err := findModel(c, args[0])
			if err != nil {
				return err
			}
			b, err := load.open(c, model, 0)
			if err != nil {
				return err
			}
			defer b.Close()
			if q.Store != "" {
				at, err := newFinder(c)
				if err != nil {
					return err
				}
				if q.Set, err = at.Settings(c.Context(), q.Set); err != nil {
					return err
				}
				if err := at.Data(c.Context(), &demos.Path); err != nil {
					return err
				}
				b.Demos, b.Watcher = demos, progress.On(c.ErrOrStderr())
			}
			q.How.StopAtEOS = !ignoreEOS
			g, err := b.Generate(c.Context(), q, c.ErrOrStderr())
			if err != nil {
				return err
			}
			return o.show(c, generated{args[0], q.Prompt, g.Text, append([]int32{}, g.Tokens...), len(g.Tokens), g.Use.ID, g.Use.Tokens},
				saying("%s%s\n", q.Prompt, g.Text))
		},
	}
	load.add(c)
	addChat(c, &q.Chat)
	f := c.Flags()
	f.StringVar(&q.Prompt, "prompt", "", "text to continue")
	f.StringVar(&q.Store, "store", "", "store `file` of in-context edits (keyhole edit --keep FILE.json)")
	f.StringArrayVar(&q.Edits, "edit", nil, "edit `file` (keyhole edit --keep FILE.safetensors) to generate with; may be repeated, in order")
	f.StringVar(&q.Editor, "editor", ike.Paper, "editor that makes the contexts of --store: "+strings.Join(catalog.InContext(), ", "))
	demosFlags(c, &demos)
	f.StringArrayVar(&q.Set, "set", nil, "override a key of its config: `key=value`")
	f.IntVar(&q.How.Tokens, "tokens", 20, "new tokens at most")
	f.Float64Var(&q.How.Sampler.Temperature, "temperature", 0, "divides the logits; 0: the most probable token always")
	f.IntVar(&q.How.Sampler.TopK, "top-k", 0, "draw from so many best tokens; 0: all")
	f.Uint64Var(&q.How.Sampler.Seed, "seed", 0, "seed of the draws")
	f.BoolVar(&ignoreEOS, "ignore-eos", false, "go on behind an end token")
	return c
}

// checkQuery refuses flags that are missing, wrong, or about nothing.
func checkQuery(c *cobra.Command, q *workbench.Query) error {
	switch {
	case q.Prompt == "":
		return wrongUse("--prompt is missing: give the text to be continued")
	case q.How.Tokens < 1:
		return wrongUse("--tokens %d is below 1", q.How.Tokens)
	}
	for _, flag := range []string{"editor", "demos", "demos-split", "set"} {
		if q.Store == "" && c.Flags().Changed(flag) {
			return wrongUse("--%s is about the contexts of --store; add --store FILE%s, or leave it out", flag, kept.StoreExt)
		}
	}
	for _, flag := range []string{"top-k", "seed"} {
		if c.Flags().Changed(flag) && !c.Flags().Changed("temperature") {
			return wrongUse("--%s needs --temperature: without it the most probable token is taken always", flag)
		}
	}
	if names := catalog.InContext(); q.Store != "" && !slices.Contains(names, q.Editor) {
		return wrongUse("editor %s puts nothing in front of prompts; use one of %s", q.Editor, strings.Join(names, ", "))
	}
	return nil
}
