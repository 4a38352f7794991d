package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn/eager"
)

// dtypeOf reads a --dtype.
func dtypeOf(name string) (tensorfile.DType, error) {
	d, err := saved.ParseDType(name)
	if err != nil {
		return 0, wrongUse("--%v", err)
	}
	return d, nil
}

// answer continues a prompt greedily with at most n tokens, as text without
// the prompt. If context is not empty it stands before the prompt.
func answer(m *lm.Model, e *kernel.Engine, context, prompt string, n int) (string, error) {
	ids := m.Tokenizer.EncodePrompt(context + prompt)
	out, err := m.Generate(eager.New(e), ids, lm.GenerateOptions{Tokens: n, StopAtEOS: true})
	if err != nil {
		return "", fmt.Errorf("prompt %q: %w", prompt, err)
	}
	return continuation(m, ids, out), nil
}

// continuation is the text of the new tokens; decoding them together with the
// prompt keeps the blank between the two.
func continuation(m *lm.Model, prompt, out []int32) string {
	whole := m.Tokenizer.DecodeSkip(append(append([]int32(nil), prompt...), out...))
	start := m.Tokenizer.DecodeSkip(prompt)
	if len(whole) < len(start) {
		return m.Tokenizer.DecodeSkip(out)
	}
	return whole[len(start):]
}

// threadsFlag adds --threads.
func threadsFlag(c *cobra.Command) *int {
	return c.Flags().Int("threads", 0, "threads; 0: all cores. No result depends on it")
}
