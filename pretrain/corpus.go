package pretrain

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
)

// sentence is one text of the corpus in tokens: ids, of which each row predicts
// the next (the last one the end of the text).
type sentence struct {
	fact, pattern int
	ids           []int32
	object        nn.Range // rows that predict the object's tokens
}

// corpus renders every fact through every pattern of its relation.
func corpus(c *Config, facts []Fact, tok tokenizer.Tokenizer) ([]sentence, error) {
	var out []sentence
	for i := range facts {
		f := &facts[i]
		for k := range c.Relations[f.Relation].Patterns {
			prompt := tok.Encode(f.Prompt(c, k))
			whole := tok.Encode(f.Sentence(c, k))
			object := tok.Encode(" " + f.Object)
			n := len(prompt)
			if len(whole) != n+len(object)+1 || !slices.Equal(whole[:n], prompt) {
				return nil, fmt.Errorf("sentence %q does not split into prompt and object at a token", f.Sentence(c, k))
			}
			if len(whole) > c.Model.Context {
				return nil, fmt.Errorf("sentence %q has %d tokens; model.context is %d", f.Sentence(c, k), len(whole), c.Model.Context)
			}
			out = append(out, sentence{fact: i, pattern: k, ids: whole, object: nn.Range{Lo: n - 1, Hi: n - 1 + len(object)}})
		}
	}
	return out, nil
}

// packed is a batch laid out for one run: its pointers are those that the
// graph was built with.
type packed struct {
	text.Packed
	positions nn.IDs
	labels    graph.Labels // weights sum to 1
}

// set lays out a batch. The rows that predict objects have one weight; in the
// first whole sentences every other row counts too, with contextWeight.
func (p *packed) set(batch []sentence, whole int, contextWeight float32) {
	p.Reset()
	weights := p.labels.Weight[:0]
	sum := float32(0)
	for n, s := range batch {
		rows, wanted := p.Add(s.asked(n < whole))
		for _, row := range p.Want.V[wanted.Lo:wanted.Hi] {
			w := float32(1)
			if i := int(row) - rows.Lo; i < s.object.Lo || i >= s.object.Hi {
				w = contextWeight
			}
			weights = append(weights, w)
			sum += w
		}
	}
	for i := range weights {
		weights[i] /= sum
	}
	p.positions.V = append(p.positions.V[:0], p.Seq.Pos...)
	p.labels = graph.Labels{IDs: p.Labels, Weight: weights}
}

// asked is the sentence with what its rows predict, or only those of its object.
func (s *sentence) asked(whole bool) text.Text {
	t := text.Text{IDs: s.ids, Labels: make([]int32, len(s.ids))}
	for i := range s.ids {
		switch {
		case !whole && (i < s.object.Lo || i >= s.object.Hi):
			t.Labels[i] = -1
		case i+1 < len(s.ids):
			t.Labels[i] = s.ids[i+1]
		default:
			t.Labels[i] = endID
		}
	}
	return t
}

// rows is the largest number of rows that a batch of n sentences can have.
func rows(corpus []sentence, n int) int {
	lengths := make([]int, len(corpus))
	for i, s := range corpus {
		lengths[i] = len(s.ids)
	}
	slices.Sort(lengths)
	total := 0
	for _, l := range lengths[max(0, len(lengths)-n):] {
		total += l
	}
	return total
}

// shuffle puts the corpus in a new order.
func shuffle(rng *rand.Rand, corpus []sentence) {
	rng.Shuffle(len(corpus), func(i, j int) { corpus[i], corpus[j] = corpus[j], corpus[i] })
}
