package lm

import (
	"fmt"

	"keyhole.example/keyhole/lm/chat"
	"keyhole.example/keyhole/lm/tokenizer"
)

// Chat compiles the model's chat template, which its tokenizer's files or its
// GGUF file carry. A model without one is an error that says so.
func (m *Model) Chat() (*chat.Template, error) {
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("%s: the model has no tokenizer, and so no chat template", m.Path)
	}
	text, err := tokenizer.ChatTemplate(m.Tokenizer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Path, err)
	}
	if text == "" {
		return nil, fmt.Errorf("%s: the model has no chat template (chat_template in tokenizer_config.json, or chat_template.jinja); leave out --chat, or take an instruct model", m.Path)
	}
	spelt := func(id int32, ok bool) string {
		token, _ := m.Tokenizer.Token(id)
		if !ok {
			return ""
		}
		return token
	}
	t, err := chat.Parse(text, spelt(m.Tokenizer.BOS()), spelt(m.Tokenizer.EOS()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Path, err)
	}
	return t, nil
}
