package serve

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/text"
)

// Bounds of a request.
const (
	maxPrompts = 20      // paraphrases, and likewise neighbours
	maxText    = 8 << 10 // bytes of a prompt or a target
)

// fact is what shall become true, with what tests it.
type fact struct {
	Prompt      string     `json:"prompt"` // {} marks the subject's place
	Subject     string     `json:"subject"`
	Target      string     `json:"target"`
	TargetTrue  string     `json:"target_true,omitempty"`
	Paraphrases []string   `json:"paraphrases"`
	Neighbors   []neighbor `json:"neighbors"`
}

// neighbor is a prompt whose answer has to stay; without a target, whatever it is.
type neighbor struct {
	Prompt string `json:"prompt"`
	Target string `json:"target,omitempty"`
}

// UnmarshalJSON takes an object, or the prompt alone.
func (n *neighbor) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, &n.Prompt)
	}
	type plain neighbor
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode((*plain)(n))
}

// check refuses what no editor can use, and puts the rest in order.
func (f *fact) check() error {
	for _, x := range []struct{ field, text string }{{"prompt", f.Prompt}, {"target", f.Target}, {"subject", f.Subject}, {"target_true", f.TargetTrue}} {
		if len(x.text) > maxText {
			return wrong("request."+x.field, "%s has %d bytes, and %d are possible", x.field, len(x.text), maxText)
		}
	}
	switch {
	case strings.TrimSpace(f.Prompt) == "":
		return wrong("request.prompt", "the prompt is empty")
	case strings.TrimSpace(f.Target) == "":
		return wrong("request.target", "the target is empty; say what %q shall be answered with", f.Prompt)
	case len(f.Paraphrases) > maxPrompts || len(f.Neighbors) > maxPrompts:
		return wrong("request", "there are %d paraphrases and %d neighbours; %d each are possible", len(f.Paraphrases), len(f.Neighbors), maxPrompts)
	}
	if f.Subject != "" {
		prompt, where, err := text.Fill(f.Prompt, f.Subject)
		if err == nil {
			_, _, err = text.Find(prompt, f.Subject, cmp.Or(where, text.First))
		}
		if err != nil {
			return wrong("request.subject", "%v", err)
		}
	}
	f.Paraphrases = append([]string{}, f.Paraphrases...) // [] in JSON, not null
	f.Neighbors = append([]neighbor{}, f.Neighbors...)
	for i, p := range f.Paraphrases {
		if strings.TrimSpace(p) == "" || len(p) > maxText {
			return wrong(fmt.Sprintf("request.paraphrases[%d]", i), "the paraphrase is empty or too long")
		}
	}
	for i, n := range f.Neighbors {
		if strings.TrimSpace(n.Prompt) == "" || len(n.Prompt) > maxText || len(n.Target) > maxText {
			return wrong(fmt.Sprintf("request.neighbors[%d]", i), "the neighbour is empty or too long")
		}
	}
	return nil
}

// prompts is how many prompts the fact and its tests are.
func (f *fact) prompts() int { return 1 + len(f.Paraphrases) + len(f.Neighbors) }

// request is the fact as editors take it. check has found it good.
func (f *fact) request(id string) edit.Request {
	r := edit.Request{ID: id, Prompt: f.Prompt, Subject: f.Subject, Target: f.Target, True: f.TargetTrue, Occurrence: text.First}
	if prompt, where, err := text.Fill(f.Prompt, f.Subject); err == nil {
		r.Prompt, r.Occurrence = prompt, cmp.Or(where, text.First)
	}
	return r
}
