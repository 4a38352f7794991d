package data

import (
	"fmt"
	"slices"
)

// Ask rewrites the prompts of all records, as Asked does.
func (s *Set) Ask(f func(prompt string) (string, error)) error {
	edits := make([]Edit, len(s.Edits))
	for i := range s.Edits {
		var err error
		if edits[i], err = s.Edits[i].Asked(f); err != nil {
			return fmt.Errorf("record %s: %w", s.Edits[i].ID, err)
		}
	}
	s.Edits = edits
	return nil
}

// Asked returns the record with every prompt rewritten by f, such as by a chat
// template, and answers that follow without a space. Free texts and the steps of
// a chain stay as they are.
func (e *Edit) Asked(f func(prompt string) (string, error)) (Edit, error) {
	out := *e
	out.Template, out.Join = "", JoinNone
	var first error
	ask := func(prompt string) string {
		text, err := f(prompt)
		if err != nil && first == nil {
			first = err
		}
		return text
	}
	all := func(prompts []string) []string {
		out := slices.Clone(prompts)
		for i := range out {
			out[i] = ask(out[i])
		}
		return out
	}
	list := func(prompts []Prompt) []Prompt {
		out := slices.Clone(prompts)
		for i := range out {
			out[i].Prompt = ask(out[i].Prompt)
		}
		return out
	}
	byKind := func(kinds map[string][]Prompt) map[string][]Prompt {
		if kinds == nil {
			return nil
		}
		out := make(map[string][]Prompt, len(kinds))
		for kind, prompts := range kinds {
			out[kind] = list(prompts)
		}
		return out
	}
	out.Prompt, out.Paraphrases, out.Reverse = ask(e.Prompt), all(e.Paraphrases), list(e.Reverse)
	out.Locality, out.Portability = byKind(e.Locality), byKind(e.Portability)
	if e.Chain != nil {
		chain := *e.Chain
		chain.Questions, chain.Edits = all(chain.Questions), slices.Clone(chain.Edits)
		for i := range chain.Edits {
			next, err := chain.Edits[i].Asked(f)
			if err != nil && first == nil {
				first = err
			}
			chain.Edits[i] = next
		}
		out.Chain = &chain
	}
	return out, first
}
