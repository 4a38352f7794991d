package workbench

import (
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
)

// Answer continues a prompt greedily with at most n tokens, as text without the
// prompt.
func Answer(m *lm.Model, e *kernel.Engine, prompt string, n int) (string, error) {
	ids := m.Tokenizer.EncodePrompt(prompt)
	out, err := m.Generate(eager.New(e), ids, lm.GenerateOptions{Tokens: n, StopAtEOS: true})
	if err != nil {
		return "", fmt.Errorf("prompt %q: %w", prompt, err)
	}
	return Continuation(m, ids, out), nil
}

// Continuation is the text of the new tokens; decoding them together with the
// prompt keeps the blank between the two.
func Continuation(m *lm.Model, prompt, out []int32) string {
	whole := m.Tokenizer.DecodeSkip(append(append([]int32(nil), prompt...), out...))
	start := m.Tokenizer.DecodeSkip(prompt)
	if len(whole) < len(start) {
		return m.Tokenizer.DecodeSkip(out)
	}
	return whole[len(start):]
}
