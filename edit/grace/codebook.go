package grace

import (
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
)

// Entry is one edit of a codebook.
type Entry struct {
	ID     string  `json:"id"`
	Prompt string  `json:"prompt"`
	Target string  `json:"target"`
	Labels []int32 `json:"labels"` // the target's tokens
	Tokens int     `json:"tokens"` // of the prompt

	Query []float32 `json:"-"` // the layer's input at the prompt's last token, [in]
	Value []float32 `json:"-"` // what was trained, [out]
}

// Decision is what an edit does to the keys.
type Decision string

// The decisions.
const (
	FirstKey Decision = "first key"
	NewKey   Decision = "new key"
	Split    Decision = "split"
	Grow     Decision = "grow"
	Keep     Decision = "keep"
	Replace  Decision = "replace" // a key's prompt itself, edited again
)

// pair is a key with its value.
type pair struct {
	key, value []float32
	eps        float64
	labels     []int32
	tokens     int
}

// rules are what of a config decides about keys.
type rules struct {
	Eps         float64 `json:"eps"` // of new keys
	Expand      string  `json:"eps_expand"`
	Replacement string  `json:"replacement"`
	Compat      string  `json:"compat,omitempty"`
}

// Codebook is keys and values behind a layer. It implements edit.Adapter.
type Codebook struct {
	Model   string `json:"model"` // hash of the base model
	Layer   string `json:"layer"` // weight name
	Rules   rules  `json:"rules"`
	Entries []Entry

	pairs []pair
}

var (
	_ edit.Adapter = (*Codebook)(nil)
	_ edit.Lister  = (*Codebook)(nil)
)

// Weights implements edit.Adapter.
func (b *Codebook) Weights() []string { return []string{b.Layer} }

// Len is the number of keys.
func (b *Codebook) Len() int { return len(b.pairs) }

// distance is Euclidean, the differences in float32 as they are stored.
func distance(a, b []float32) float64 {
	sum := 0.0
	for i, v := range a {
		d := float64(v) - float64(b[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

// nearest finds the nearest key, the first of equally near ones; −1: there is
// none.
func nearest(pairs []pair, q []float32) (j int, delta float64) {
	j, delta = -1, math.Inf(1)
	for i, p := range pairs {
		if d := distance(p.key, q); d < delta {
			j, delta = i, d
		}
	}
	return j, delta
}

// within tells whether a distance lies inside a radius. A radius may be a
// distance that was measured, so the default gives rounding some room.
func (r rules) within(delta, eps float64) bool {
	if r.Compat != CompatNone {
		return delta <= eps
	}
	const slack = 1e-6
	return delta <= eps*(1+slack)
}

// Find is the key that answers for q, or −1. Only the nearest key is asked.
func (b *Codebook) Find(q []float32) int {
	if j, delta := nearest(b.pairs, q); j >= 0 && b.Rules.within(delta, b.pairs[j].eps) {
		return j
	}
	return -1
}

// Route implements edit.Adapter: the key that the prompt's last token finds.
func (b *Codebook) Route(x, _ kernel.Matrix) edit.Route {
	return edit.Route{To: b.Find(row(x, x.Rows-1))}
}

// Adapt implements edit.Adapter.
func (b *Codebook) Adapt(_ string, r edit.Route, _, y kernel.Matrix, from, prompt int) {
	if r.To < 0 {
		return
	}
	for i := range y.Rows {
		if b.Rules.replaced(from+i, prompt) {
			copy(row(y, i), b.pairs[r.To].value)
		}
	}
}

// replaced tells whether the row at a position gets the value.
func (r rules) replaced(at, prompt int) bool {
	switch r.Replacement {
	case "replace_all":
		return true
	case "replace_prompt": // as published, not the prompt's last token itself
		return at < prompt-1
	}
	return at == prompt-1
}

func row(x kernel.Matrix, i int) []float32 { return x.Data[i*x.Stride : i*x.Stride+x.Cols] }

// add makes room for an edit: what becomes of the keys, and the key whose value
// is to be trained, −1 if a lookup finds none. fresh is the value of a new key.
func (b *Codebook) add(e Entry, fresh []float32) (d Decision, trained int) {
	d, made := b.maintain(e, fresh)
	if trained = b.Find(e.Query); trained < 0 && b.Rules.Compat == CompatNone {
		trained = made // it cannot be missed
	}
	return d, trained
}

// maintain changes the keys for an edit; made is the pair that is its own.
func (b *Codebook) maintain(e Entry, fresh []float32) (d Decision, made int) {
	r := b.Rules
	own := pair{key: e.Query, value: fresh, eps: r.Eps, labels: e.Labels, tokens: e.Tokens}
	j, delta := nearest(b.pairs, e.Query)
	push := func() int {
		b.push(own)
		return len(b.pairs) - 1
	}
	if j < 0 {
		return FirstKey, push()
	}
	near := &b.pairs[j]
	switch {
	case r.Compat == CompatNone && delta < 1e-6*kernel.Norm64(e.Query):
		if slices.Equal(near.labels, e.Labels) {
			return Keep, j
		}
		*near = pair{key: near.key, value: fresh, eps: near.eps, labels: e.Labels, tokens: e.Tokens}
		return Replace, j
	case delta > r.Eps+near.eps:
		d = NewKey
	case !b.sameLabel(j, e):
		d = Split
	case delta > near.eps:
		grown := *near
		grown.eps = delta
		if r.Expand == "moving_average" {
			grown.key = slices.Clone(near.key)
			for i, v := range e.Query {
				grown.key[i] = (grown.key[i] + v) / 2
			}
		}
		if r.Compat != CompatNone || b.free(grown) {
			*near = grown
			return Grow, j
		}
		d = NewKey
	default:
		return Keep, j
	}
	if r.Compat != CompatNone {
		if d == Split {
			near.eps, own.eps = float32Of(delta/2)-1e-5, float32Of(delta/2)
		}
		return d, push()
	}
	for i := range b.pairs { // every key of another answer keeps its distance
		p := &b.pairs[i]
		if gap := distance(p.key, e.Query); gap <= own.eps+p.eps && !slices.Equal(p.labels, e.Labels) {
			p.eps, own.eps = min(p.eps, gap/2*(1-1e-5)), min(own.eps, gap/2)
		}
	}
	return d, push()
}

// free tells whether a ball touches none of another answer.
func (b *Codebook) free(p pair) bool {
	return !slices.ContainsFunc(b.pairs, func(o pair) bool {
		return !slices.Equal(o.labels, p.labels) && distance(o.key, p.key) <= o.eps+p.eps
	})
}

func (b *Codebook) push(p pair) { b.pairs = append(b.pairs, p) }

// float32Of rounds as the published code's tensors do.
func float32Of(x float64) float64 { return float64(float32(x)) }

// sameLabel compares the answers of a key and an edit. The published code
// compares the means of the label rows, in which each token of the prompt is −100;
// EasyEdit's copy keeps the rows newest first, so it takes another key's.
func (b *Codebook) sameLabel(j int, e Entry) bool {
	switch b.Rules.Compat {
	case CompatReference:
		return labelMean(b.pairs[j].labels, b.pairs[j].tokens) == labelMean(e.Labels, e.Tokens)
	case CompatEasyEdit:
		p := b.pairs[len(b.pairs)-1-j]
		return labelMean(p.labels, p.tokens) == labelMean(e.Labels, e.Tokens)
	}
	return slices.Equal(b.pairs[j].labels, e.Labels)
}

func labelMean(labels []int32, tokens int) float32 {
	sum := float32(-100 * tokens)
	for _, l := range labels {
		sum += float32(l)
	}
	return sum / float32(tokens+len(labels))
}

// with is the codebook with one more edit, whose value was trained.
func (b *Codebook) with(e Entry) *Codebook {
	out := &Codebook{Model: b.Model, Layer: b.Layer, Rules: b.Rules, Entries: append(slices.Clip(b.Entries), e), pairs: slices.Clone(b.pairs)}
	out.settle(e)
	return out
}

// settle lets an edit change the keys and puts its trained value where it belongs.
func (b *Codebook) settle(e Entry) {
	if _, trained := b.add(e, e.Value); trained >= 0 {
		b.pairs[trained].value = e.Value
	}
}

// Requests implements edit.Lister.
func (b *Codebook) Requests() []edit.Request {
	var out []edit.Request
	for _, e := range b.Entries {
		out = append(out, edit.Request{ID: e.ID, Prompt: e.Prompt, Target: e.Target})
	}
	return out
}

// Forget implements edit.Lister: the codebook of the edits without those of an ID.
func (b *Codebook) Forget(id string) (edit.Memory, error) {
	out := &Codebook{Model: b.Model, Layer: b.Layer, Rules: b.Rules}
	for _, e := range b.Entries {
		if e.ID != id {
			out.Entries = append(out.Entries, e)
			out.settle(e)
		}
	}
	if len(out.Entries) == len(b.Entries) {
		return nil, fmt.Errorf("the codebook has no edit %s", id)
	}
	return out, nil
}

// Follows implements edit.Follower: the codebook begins with last's edits.
func (b *Codebook) Follows(last edit.Memory) error {
	old, ok := last.(*Codebook)
	if !ok {
		return nil // a codebook holds its whole sequence
	}
	for i, e := range old.Entries {
		if i >= len(b.Entries) || b.Entries[i].ID != e.ID || b.Entries[i].Prompt != e.Prompt || b.Entries[i].Target != e.Target {
			return fmt.Errorf("its codebook does not go on from the one before: edit %s is missing", e.ID)
		}
	}
	return nil
}
