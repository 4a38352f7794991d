package pretrain

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
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
	ids, positions nn.IDs
	seq            nn.Sequences
	want           nn.RowSet    // rows that predict something
	labels         graph.Labels // what they are to predict; weights sum to 1
	lengths        []int
}

// set lays out a batch. The rows that predict objects have one weight; in the
// first whole sentences every other row counts too, with contextWeight.
func (p *packed) set(batch []sentence, whole int, contextWeight float32) {
	p.ids.V, p.positions.V, p.want.V = p.ids.V[:0], p.positions.V[:0], p.want.V[:0]
	labels, weights := p.labels.IDs[:0], p.labels.Weight[:0]
	p.lengths = p.lengths[:0]
	sum := float32(0)
	for n, s := range batch {
		for i := range s.ids {
			p.positions.V = append(p.positions.V, int32(i))
			w := float32(1)
			if i < s.object.Lo || i >= s.object.Hi {
				if n >= whole {
					continue
				}
				w = contextWeight
			}
			label := int32(endID)
			if i+1 < len(s.ids) {
				label = s.ids[i+1]
			}
			p.want.V = append(p.want.V, int32(len(p.ids.V)+i))
			labels, weights = append(labels, label), append(weights, w)
			sum += w
		}
		p.ids.V = append(p.ids.V, s.ids...)
		p.lengths = append(p.lengths, len(s.ids))
	}
	for i := range weights {
		weights[i] /= sum
	}
	p.labels = graph.Labels{IDs: labels, Weight: weights}
	p.seq.Set(p.lengths)
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
