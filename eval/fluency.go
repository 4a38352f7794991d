package eval

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"keyhole.example/keyhole/data"
)

// fluency is the quality of free texts: sampled with top-5, 100 tokens with
// the prompt, one for each generation prompt, or for the edit prompt where the
// record has none. Seeds depend on the evaluation's seed, the record and the
// prompt's place.
func fluency() family {
	sampled := func(name, about string, better int) Metric {
		m := Metric{Name: name, About: about, Better: better, Decode: "sampled", Match: "entropy"}
		switch name {
		case "GE":
			m.Range = "from 0"
		case "rep_4":
			m.Source = ours
		case "ke_fluency":
			m.Range, m.Source = "from 0", "Zhang et al. 2024 (KnowEdit)"
		}
		return m
	}
	return family{
		name: "fluency", about: "free texts: n-gram entropy (GE), repeated 4-grams, consistency with reference texts (RS)", source: "Meng et al. 2022 (ROME)",
		metrics: []Metric{
			sampled("GE", "n-gram entropy of free texts, in bits (tables of papers multiply by 100)", 1),
			sampled("rep_4", "share of 4-grams of free texts that came before", -1),
			sampled("RS", "cosine of TF-IDF vectors of the free texts and the references of the new answer", 1),
			sampled("ke_fluency", "GE of one text from the edit prompt", 1),
		},
		plan: func(p *planner, c *Case) scoring {
			prompts := c.Record.GenerationPrompts
			if len(prompts) == 0 {
				prompts = []string{c.Record.Prompt}
			}
			sample := func(place int, prompt string) *Generation {
				seed := uint64(data.Choose(p.seed, fmt.Sprintf("sample/%d/%s", place, c.Record.ID), 0, math.MaxInt32))
				return c.generate(Generation{Prompt: prompt, Sampled: true, Seed: seed})
			}
			var texts []*Generation
			for i, s := range prompts {
				texts = append(texts, sample(i, s))
			}
			own := texts[0]
			if prompts[0] != c.Record.Prompt {
				own = sample(-1, c.Record.Prompt)
			}
			refs := p.refs[ReferenceKey(c.Record)]
			text := func(g *Generation) string {
				return cleanText(g.Prompt + p.model.Tokenizer.DecodeSkip(g.Edited))
			}
			return func(v *scores) {
				var whole []string
				for _, g := range texts {
					s := text(g)
					words := Words(s)
					v.add("GE", NGramEntropy(words), g)
					v.add("rep_4", Repetition(words, 4), g)
					whole = append(whole, s)
				}
				v.add("ke_fluency", NGramEntropy(Words(text(own))), own)
				if len(refs) > 0 {
					v.add("RS", p.terms.similarity(strings.Join(whole, " "), strings.Join(refs, " ")), answers(texts)...)
				}
			}
		},
	}
}

// ReferenceKey is the key of Options.References for an edit: its relation and
// the id of its new answer, or the answer itself where it has no id.
func ReferenceKey(e *data.Edit) string {
	if e.TargetNewID != "" {
		return e.RelationID + "/" + e.TargetNewID
	}
	return e.RelationID + "/" + e.TargetNew
}

// cleanText is NFKD with empty lines made a space.
func cleanText(s string) string {
	return strings.ReplaceAll(norm.NFKD.String(s), "\n\n", " ")
}

// NGramEntropy is ROME's GE of a text's words, in bits: H₂/3 + 2·H₃/3, where
// H_n is the entropy of its n-grams. A text without n-grams has H_n = 0.
func NGramEntropy(words []string) float64 {
	return entropy(words, 2)/3 + entropy(words, 3)*2/3
}

func entropy(words []string, n int) float64 {
	counts, total := ngrams(words, n)
	h := 0.0
	for _, g := range sortedCounts(counts) {
		f := float64(g) / float64(total)
		h -= f * math.Log2(f)
	}
	return h
}

// sortedCounts makes sums over a map independent of its order.
func sortedCounts(counts map[string]int) []int {
	out := make([]int, 0, len(counts))
	for _, n := range counts {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// ngrams counts runs of n words.
func ngrams(words []string, n int) (counts map[string]int, total int) {
	counts = map[string]int{}
	for i := 0; i+n <= len(words); i++ {
		counts[strings.Join(words[i:i+n], "\x00")]++
		total++
	}
	return counts, total
}

// Repetition is the share of a text's n-grams that came before in it: 1 less
// distinct over all. It is 0 for a text without n-grams.
func Repetition(words []string, n int) float64 {
	counts, total := ngrams(words, n)
	if total == 0 {
		return 0
	}
	return 1 - float64(len(counts))/float64(total)
}
