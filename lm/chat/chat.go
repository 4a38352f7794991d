// Package chat writes conversations as the chat templates of instruct models
// want them: Jinja in tokenizer_config.json, chat_template.jinja or a GGUF file.
//
// The central type is Template. Templates are run by lm/jinja
// (docs/decisions/0016-chat-templates.md): they see messages, the start and end
// tokens and whether an answer is to follow, reach no file, and end in an error when
// they compute or write beyond reason.
//
// Source: apply_chat_template of transformers.
package chat

import (
	"fmt"

	"keyhole.example/keyhole/lm/jinja"
)

// Message is one turn.
type Message struct {
	Role    string // system, user or assistant
	Content string
}

// Template is a compiled chat template. It is safe for concurrent use.
type Template struct {
	program  *jinja.Template
	bos, eos string
}

// Parse compiles a template. bos and eos are the tokens that begin and end a
// text, as they are spelt; "" where there are none.
func Parse(text, bos, eos string) (*Template, error) {
	program, err := jinja.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	return &Template{program, bos, eos}, nil
}

// Render writes a conversation; where answer is set, it ends where the answer of
// the model begins. The template's own complaints, such as of roles that it does
// not know, are errors.
func (t *Template) Render(messages []Message, answer bool) (string, error) {
	list := make([]any, len(messages))
	for i, m := range messages {
		list[i] = jinja.NewDict("role", m.Role, "content", m.Content)
	}
	text, err := t.program.Render(map[string]any{
		"messages": list, "bos_token": t.bos, "eos_token": t.eos, "add_generation_prompt": answer,
	})
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return text, nil
}

// Ask is a conversation of one question, which the answer is to follow.
func (t *Template) Ask(question string) (string, error) {
	return t.Render([]Message{{Role: "user", Content: question}}, true)
}
