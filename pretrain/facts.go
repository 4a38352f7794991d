package pretrain

import (
	"fmt"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm/tokenizer"
)

// Fact is something that the model is to know.
type Fact struct {
	Relation        int // index into Config.Relations
	Subject, Object string
}

// Prompt is the fact's sentence of pattern k without the object.
func (f *Fact) Prompt(c *Config, k int) string {
	start := strings.TrimSuffix(c.Relations[f.Relation].Patterns[k], " [Y]")
	return strings.Replace(start, "[X]", f.Subject, 1)
}

// Sentence is the whole sentence of pattern k.
func (f *Fact) Sentence(c *Config, k int) string { return f.Prompt(c, k) + " " + f.Object + "." }

// chooseFacts picks facts in a seeded order: one object for each subject and
// relation, objects that are frequent enough to have neighbours, none so
// frequent that it is the answer to everything.
func chooseFacts(c *Config, all []data.Fact) ([]Fact, error) {
	index := map[string]int{}
	for i, r := range c.Relations {
		index[r.ID] = i
	}
	taken := map[string]bool{}
	byRelation := make([][]Fact, len(c.Relations))
	for _, i := range data.Permutation(c.Seed, 0, len(all)) {
		r, ok := index[all[i].RelationID]
		f := Fact{Relation: r, Subject: strings.TrimSpace(all[i].Subject), Object: strings.TrimSpace(all[i].Object)}
		key := all[i].RelationID + "\x00" + strings.ToLower(f.Subject)
		if !ok || taken[key] || !usable(&f, c.Facts.MaxSubject) {
			continue
		}
		taken[key] = true
		byRelation[r] = append(byRelation[r], f)
	}
	var out []Fact
	for r, facts := range byRelation {
		total := map[string]int{}
		for _, f := range facts {
			total[f.Object]++
		}
		used := map[string]int{}
		n := 0
		for _, f := range facts {
			if total[f.Object] < c.Facts.MinObject || used[f.Object] == c.Facts.MaxObject || n == c.Facts.PerRelation {
				continue
			}
			used[f.Object]++
			n++
			out = append(out, f)
		}
		if n == 0 {
			return nil, fmt.Errorf("%s: no usable fact of relation %s; check relations.id, facts.min_object and facts.max_subject", c.Facts.Path, c.Relations[r].ID)
		}
	}
	return out, nil
}

// usable leaves out subjects that give their object away or are not plain
// ASCII text, whose many tokens a small model would waste its memory on.
func usable(f *Fact, maxSubject int) bool {
	if f.Subject == "" || f.Object == "" || len(f.Subject) > maxSubject || strings.Contains(f.Subject, f.Object) {
		return false
	}
	for _, s := range []string{f.Subject, f.Object} {
		for i := range len(s) {
			if s[i] < ' ' || s[i] > '~' {
				return false
			}
		}
	}
	return true
}

// endOfText ends every sentence; it is the first token.
const (
	endOfText = "<|endoftext|>"
	endID     = 0
)

// makeTokenizer trains the vocabulary on all sentences. It needs no more than
// that objects are whole tokens, which their frequency brings about.
func makeTokenizer(c *Config, facts []Fact) (tokenizer.Tokenizer, error) {
	var texts []string
	for i := range facts {
		for k := range c.Relations[facts[i].Relation].Patterns {
			texts = append(texts, facts[i].Sentence(c, k))
		}
	}
	return tokenizer.Train(texts, c.Model.Vocab, []string{endOfText})
}

// shortObjects leaves out facts whose object has too many tokens, and those of
// objects that have become too rare thereby.
func shortObjects(c *Config, facts []Fact, tok tokenizer.Tokenizer) []Fact {
	var out []Fact
	for _, f := range facts {
		if len(tok.Encode(" "+f.Object)) <= c.Facts.ObjectTokens {
			out = append(out, f)
		}
	}
	return out
}
