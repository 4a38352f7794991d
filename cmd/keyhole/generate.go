package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"keyhole/lm"
	"keyhole/nn/eager"
)

// generated is the JSON of generate.
type generated struct {
	Model  string  `json:"model"`
	Prompt string  `json:"prompt"`
	Text   string  `json:"text"` // without the prompt
	Tokens []int32 `json:"tokens"`
	N      int     `json:"n"`
}

func generateCommand(o *options) *cobra.Command {
	var prompt string
	var tokens int
	var s lm.Sampler
	var ignoreEOS bool
	c := &cobra.Command{
		Use:   "generate MODEL",
		Short: "Continue a text with a language model",
		Long: `Continue a text with MODEL: a Hugging Face folder, a GGUF file, or "embedded".
Greedy unless a temperature is given; the same seed gives the same text.`,
		Example: `  keyhole generate embedded --prompt "The capital of France is" --tokens 3
  keyhole generate models/gpt2 --prompt "Once upon a time" --tokens 50 --temperature 0.8 --top-k 40 --seed 7`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case prompt == "":
				return wrongUse("--prompt is missing: give the text to be continued")
			case tokens < 1:
				return wrongUse("--tokens %d is below 1", tokens)
			}
			m, err := openModel(args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			e, err := newEngine(0)
			if err != nil {
				return err
			}
			ids := m.Tokenizer.EncodeSpecial(prompt)
			opts := lm.GenerateOptions{Tokens: tokens, Sampler: s, StopAtEOS: !ignoreEOS}
			opts.OnToken = func(int32) bool { return c.Context().Err() == nil }
			out, err := m.Generate(eager.New(e), ids, opts)
			if err != nil {
				return err
			}
			if err := stopped(c); err != nil {
				return err
			}
			text := continuation(m, ids, out)
			if o.json {
				return printJSON(c.OutOrStdout(), generated{args[0], prompt, text, append([]int32{}, out...), len(out)})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s%s\n", prompt, text)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&prompt, "prompt", "", "text to continue")
	f.IntVar(&tokens, "tokens", 20, "new tokens at most")
	f.Float64Var(&s.Temperature, "temperature", 0, "divides the logits; 0: the most probable token always")
	f.IntVar(&s.TopK, "top-k", 0, "draw from so many best tokens; 0: all")
	f.Uint64Var(&s.Seed, "seed", 0, "seed of the draws")
	f.BoolVar(&ignoreEOS, "ignore-eos", false, "go on behind an end token")
	return c
}
