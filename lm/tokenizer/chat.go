package tokenizer

import (
	"encoding/json"
	"fmt"
)

// fileChat is where later versions of transformers keep the chat template.
const fileChat = "chat_template.jinja"

// ChatTemplate is the chat template in a tokenizer's files, "" if there is none.
// Of several with names, the one named default is taken.
func ChatTemplate(t Tokenizer) (string, error) {
	files := t.Files()
	if text, ok := files[fileChat]; ok {
		return string(text), nil
	}
	var c struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(files[fileConfig], &c); err != nil {
		return "", fmt.Errorf("%s: %w", fileConfig, err)
	}
	if len(c.Template) == 0 || string(c.Template) == "null" {
		return "", nil
	}
	var one string
	if json.Unmarshal(c.Template, &one) == nil {
		return one, nil
	}
	var named []struct{ Name, Template string }
	if err := json.Unmarshal(c.Template, &named); err != nil {
		return "", fmt.Errorf("%s: chat_template is neither a text nor a list of named ones", fileConfig)
	}
	for _, n := range named {
		if n.Name == "default" {
			return n.Template, nil
		}
	}
	return "", nil
}
