package workbench

import (
	"fmt"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
)

// Answer continues a prompt greedily with at most n tokens, as text without the
// prompt.
func Answer(m *lm.Model, k *kernel.Engine, prompt string, n int) (string, error) {
	return Adapted(m, k, nil, prompt, n)
}

// Adapted is Answer with an edit's memory behind its layer; nil: none.
func Adapted(m *lm.Model, k *kernel.Engine, a edit.Adapter, prompt string, n int) (string, error) {
	ids := m.Tokenizer.EncodePrompt(prompt)
	o := eager.New(k)
	if a != nil {
		edit.InterceptText(o, a)
	}
	out, err := m.Generate(o, ids, lm.GenerateOptions{Tokens: n, StopAtEOS: true})
	if err != nil {
		return "", fmt.Errorf("prompt %q: %w", prompt, err)
	}
	return m.Continuation(ids, out), nil
}
