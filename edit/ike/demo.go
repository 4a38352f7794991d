package ike

import (
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/text"
)

// kind is what a demonstration teaches.
type kind int

const (
	copied  kind = iota // inject the fact
	updated             // generalise it
	retain              // leave others alone
	kinds               // their number
)

// demonstration is one example in a context.
type demonstration struct {
	text string
	kind kind
	rank int // 0 for the most similar record; -1 for the edit's own copy
}

// factLine and promptLine are the two lines of a demonstration.
func factLine(prompt, target string, j data.Join) string {
	return "New Fact: " + prompt + text.Behind(prompt, target, j) + "\n"
}

const promptStart = "Prompt: "

// demonstrate is one demonstration: the fact, then prompt x with answer y.
func demonstrate(fact, x, y string, j data.Join) string {
	return fact + promptStart + x + text.Behind(x, y, j) + "\n\n"
}

// neighbor is the first of a record's locality prompts, or the one that pick
// chooses: neighbourhood prompts if it has them, else those of the first kind
// by name.
func neighbor(r *data.Edit, pick func(n int) int) (x, y string, ok bool) {
	prompts := r.Locality[data.Neighborhood]
	for _, name := range slices.Sorted(maps.Keys(r.Locality)) {
		if len(prompts) == 0 {
			prompts = r.Locality[name]
		}
	}
	if len(prompts) == 0 {
		return "", "", false
	}
	p := prompts[pick(len(prompts))]
	if len(p.Answers) == 0 || len(p.Answers[0]) == 0 {
		return "", "", false
	}
	return p.Prompt, p.Answers[0][0], true
}

// paraphrase is one of a record's paraphrases.
func paraphrase(r *data.Edit, strip bool, pick func(n int) int) (string, bool) {
	if len(r.Paraphrases) == 0 {
		return "", false
	}
	x := r.Paraphrases[pick(len(r.Paraphrases))]
	if strip {
		x = StripParaphrase(x, r.Subject)
	}
	return x, true
}

// StripParaphrase takes unrelated sentences off the front of a paraphrase of
// CounterFact, by the rule of the paper's authors: of the text before the
// subject, what follows its last full stop and its last newline stays; if
// "Category" is left in the result, it begins at the subject. A text without
// the subject is returned as it is.
func StripParaphrase(text, subject string) string {
	at := strings.Index(text, subject)
	if subject == "" || at < 0 {
		return text
	}
	before, rest := text[:at], text[at:]
	before = before[strings.LastIndexByte(before, '.')+1:]
	before = before[strings.LastIndexByte(before, '\n')+1:]
	if out := strings.TrimSpace(before + rest); !strings.Contains(out, "Category") {
		return out
	}
	return strings.TrimSpace(rest)
}

// kindList is n kinds in the given ratio, rounded by the largest remainder, in
// the order copy, update, retain.
func kindList(n int, r Ratio) []kind {
	parts := [kinds]int{r.Copy, r.Update, r.Retain}
	sum := parts[0] + parts[1] + parts[2]
	var counts, rests [kinds]int
	left := n
	for k, part := range parts {
		counts[k], rests[k] = n*part/sum, n*part%sum
		left -= counts[k]
	}
	for ; left > 0; left-- {
		best := 0
		for k := range rests {
			if rests[k] > rests[best] {
				best = k
			}
		}
		counts[best]++
		rests[best] = -1
	}
	var out []kind
	for k, count := range counts {
		for range count {
			out = append(out, kind(k))
		}
	}
	return out
}

// draws is the generator of one edit: it depends on the seed and the fact, not
// on what else is edited.
func (e *Editor) draws(r *edit.Request) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(factLine(r.Prompt, r.Target, r.Join)))
	return rand.New(rand.NewPCG(e.cfg.Seed, h.Sum64()))
}

// demonstrations makes the examples of an edit from the ranked items, in the
// order in which they stand in the context. substituted counts records that
// serve as copy because they lack what their kind needs.
func (e *Editor) demonstrations(r *edit.Request, ranked []int) (out []demonstration, substituted int) {
	rng := e.draws(r)
	if e.cfg.Variant == EasyEdit {
		for rank, i := range ranked {
			out = append(out, demonstration{e.items[i].text, e.items[i].kind, rank})
		}
	} else {
		list := kindList(len(ranked), e.cfg.Ratio)
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for rank, i := range ranked {
			s, k := e.demonstration(&e.pool[e.items[i].record], list[rank], rng)
			if k != list[rank] {
				substituted++
			}
			out = append(out, demonstration{s, k, rank})
		}
	}
	switch e.cfg.Order {
	case NearestLast:
		slices.Reverse(out)
	case RandomOrder:
		rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	if e.cfg.OwnCopy {
		own := demonstrate(factLine(r.Prompt, r.Target, r.Join), r.Prompt, r.Target, r.Join)
		out = append(out, demonstration{own, copied, -1})
	}
	return out, substituted
}

// demonstration lets a record serve as kind k, or as copy if it can't.
func (e *Editor) demonstration(r *data.Edit, k kind, rng *rand.Rand) (string, kind) {
	fact := factLine(r.Prompt, r.TargetNew, r.Join)
	switch k {
	case updated:
		if x, ok := paraphrase(r, e.cfg.StripParaphrases, rng.IntN); ok {
			return demonstrate(fact, x, r.TargetNew, r.Join), updated
		}
	case retain:
		if x, y, ok := neighbor(r, rng.IntN); ok {
			return demonstrate(fact, x, y, r.Join), retain
		}
	}
	return demonstrate(fact, r.Prompt, r.TargetNew, r.Join), copied
}
