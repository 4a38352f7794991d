package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
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
	var prompt, store, editor string
	var edits []string
	var demos workbench.Demos
	var set []string
	var tokens int
	var s lm.Sampler
	var load loading
	var chat bool
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
			switch {
			case prompt == "":
				return wrongUse("--prompt is missing: give the text to be continued")
			case tokens < 1:
				return wrongUse("--tokens %d is below 1", tokens)
			}
			for _, flag := range []string{"editor", "demos", "demos-split", "set"} {
				if store == "" && c.Flags().Changed(flag) {
					return wrongUse("--%s is about the contexts of --store; add --store FILE%s, or leave it out", flag, storeExt)
				}
			}
			for _, flag := range []string{"top-k", "seed"} {
				if c.Flags().Changed(flag) && !c.Flags().Changed("temperature") {
					return wrongUse("--%s needs --temperature: without it the most probable token is taken always", flag)
				}
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
			m, r := b.Model, &recalled{}
			if store != "" {
				if err := findData(c, &demos.Path); err != nil {
					return err
				}
				if set, err = findSettings(c, set); err != nil {
					return err
				}
				b.Demos, b.Watcher = demos, newScreen(c.ErrOrStderr())
				if r, err = recall(c.Context(), b, store, editor, prompt, set); err != nil {
					return err
				}
			}
			asked := prompt
			if chat {
				template, err := m.Chat()
				if err != nil {
					return err
				}
				if asked, err = template.Ask(prompt); err != nil {
					return err
				}
			}
			ids := m.Tokenizer.EncodePrompt(r.context + asked)
			opts := lm.GenerateOptions{Tokens: tokens, Sampler: s, StopAtEOS: !ignoreEOS}
			opts.OnToken = func(int32) bool { return c.Context().Err() == nil }
			ops := eager.New(b.Engine)
			responder, closed, err := intercept(c, b, ops, edits)
			defer closed()
			if err != nil {
				return err
			}
			by := m
			if responder != nil {
				a, err := responder.Respond(prompt, "")
				if err != nil {
					return err
				}
				if a.Model != nil {
					by, ids = a.Model, m.Tokenizer.EncodePrompt(a.Context+asked)
				}
			}
			out, err := by.Generate(ops, ids, opts)
			if err != nil {
				return err
			}
			if err := stopped(c); err != nil {
				return err
			}
			text := m.Continuation(ids, out)
			if o.json {
				return printJSON(c.OutOrStdout(), generated{args[0], prompt, text, append([]int32{}, out...), len(out), r.use.ID, r.use.Tokens})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s%s\n", prompt, text)
			return err
		},
	}
	load.add(c)
	addChat(c, &chat)
	f := c.Flags()
	f.StringVar(&prompt, "prompt", "", "text to continue")
	f.StringVar(&store, "store", "", "store `file` of in-context edits (keyhole edit --keep FILE.json)")
	f.StringArrayVar(&edits, "edit", nil, "edit `file` (keyhole edit --keep FILE.safetensors) to generate with; may be repeated, in order")
	f.StringVar(&editor, "editor", ike.Paper, "editor that makes the contexts of --store: "+strings.Join(catalog.InContext(), ", "))
	demosFlags(c, &demos)
	f.StringArrayVar(&set, "set", nil, "override a key of its config: `key=value`")
	f.IntVar(&tokens, "tokens", 20, "new tokens at most")
	f.Float64Var(&s.Temperature, "temperature", 0, "divides the logits; 0: the most probable token always")
	f.IntVar(&s.TopK, "top-k", 0, "draw from so many best tokens; 0: all")
	f.Uint64Var(&s.Seed, "seed", 0, "seed of the draws")
	f.BoolVar(&ignoreEOS, "ignore-eos", false, "go on behind an end token")
	return c
}
