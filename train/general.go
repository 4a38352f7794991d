package train

import (
	"fmt"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/text"
)

// What of a general text is gone over: paragraphs of the first so many, each to its
// first so many tokens.
const (
	paragraphs     = 50_000
	paragraphsTake = 128
)

// stays are the texts that the priors are taken from: locality texts of so many
// tokens, and as many tokens of data.general behind them.
func (l *Loop) stays(src Sources, tokens int) ([]text.Text, error) {
	list, err := l.maker.Kept(tokens)
	if err != nil || l.Config.Data.General == "" {
		return list, err
	}
	left := 0
	for _, t := range list {
		left += len(t.IDs)
	}
	all, err := src.paragraphs(l.Config.Data.General)
	if err != nil {
		return nil, fmt.Errorf("data.general: %w", err)
	}
	for _, at := range data.Permutation(l.Config.Seed, 0, len(all)) {
		if left <= 0 {
			break
		}
		ids := text.Prompt(l.Model.Tokenizer, all[at])
		ids = ids[:min(len(ids), paragraphsTake, l.Model.Limit())]
		list, left = append(list, text.Text{IDs: ids}), left-len(ids)
	}
	if left > 0 {
		l.notes = append(l.notes, fmt.Sprintf("%s ends %d tokens before it is as much as the locality texts of the prior", l.Config.Data.General, left))
	}
	return list, nil
}

// paragraphs are those of a text file, or of the embedded text.
func (src Sources) paragraphs(path string) ([]string, error) {
	var out []string
	switch {
	case !isEmbedded(path):
		for doc, err := range data.Documents(path) {
			if err != nil {
				return nil, err
			}
			if out = append(out, doc.Paragraphs...); len(out) >= paragraphs {
				break
			}
		}
	case src.Text == nil:
		return nil, fmt.Errorf("there is no embedded text; name a file")
	default:
		whole, err := src.Text()
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(whole) {
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, line)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no paragraph", path)
	}
	return out[:min(len(out), paragraphs)], nil
}
