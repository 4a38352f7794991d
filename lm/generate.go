package lm

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// Sampler chooses the next token. The zero value is greedy: the largest logit,
// of equal ones the smallest id.
type Sampler struct {
	Temperature float64 // divides the logits; 0: greedy
	TopK        int     // only that many best tokens are drawn from; 0: all
	Seed        uint64  // of the draws
}

// GenerateOptions says how a text is continued.
type GenerateOptions struct {
	Tokens    int // at most that many new tokens
	Sampler   Sampler
	StopAtEOS bool                // stop behind an end token, which is not returned
	OnToken   func(id int32) bool // if set, sees each new token; false stops
}

// Generate continues prompt and returns the new tokens. It keeps keys and
// values from token to token and computes with o, whose Deltas (one task) are
// in force; o's other values are recycled. It stops early at the end of the
// context. A prompt that leaves no room, or is empty, is an error.
func (m *Model) Generate(o *eager.Ops, prompt []int32, opts GenerateOptions) ([]int32, error) {
	out, err := m.GenerateAll(o, [][]int32{prompt}, []GenerateOptions{opts})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// GenerateAll is Generate for several prompts, which go on side by side, so that
// the weights are read once for a token of each. Every text is the one that
// Generate makes of its prompt alone.
func (m *Model) GenerateAll(o *eager.Ops, prompts [][]int32, opts []GenerateOptions) ([][]int32, error) {
	out := make([][]int32, 0, len(prompts))
	for len(out) < len(prompts) {
		var texts []*continued
		rows := 0
		for i := len(out); i < len(prompts) && len(texts) < abreast; i++ {
			rows += len(prompts[i]) + opts[i].Tokens
			if len(texts) > 0 && rows > abreastRows {
				break
			}
			t, err := m.begin(prompts[i], opts[i])
			if err != nil {
				return nil, fmt.Errorf("generate: %w", err)
			}
			texts = append(texts, t)
		}
		if err := m.goOn(o, texts); err != nil {
			return nil, fmt.Errorf("generate: %w", err)
		}
		for _, t := range texts {
			out = append(out, t.out)
		}
	}
	return out, nil
}

const (
	abreast     = 32   // texts that go on side by side at most
	abreastRows = 2048 // tokens that they may have together
)

// continued is a text on its way.
type continued struct {
	GenerateOptions
	draw *rand.Rand
	size int     // tokens of the prompt
	next []int32 // tokens that are not computed yet; none: the text has ended
	seen []int32 // rows of those that are, as nn.Sequences.Keys lists them
	out  []int32
}

func (m *Model) begin(prompt []int32, opts GenerateOptions) (*continued, error) {
	if len(prompt) == 0 {
		return nil, errors.New("the prompt has no tokens")
	}
	if err := m.CheckLength(len(prompt)); err != nil {
		return nil, err
	}
	if err := opts.Sampler.validate(); err != nil {
		return nil, err
	}
	t := &continued{GenerateOptions: opts, draw: rand.New(rand.NewPCG(opts.Sampler.Seed, seedStream)), size: len(prompt)}
	if opts.Tokens > 0 {
		t.next = prompt
	}
	return t, nil
}

// seedStream is the second half of a PCG seed; any constant does.
const seedStream = 0x6b6579686f6c65

// goOn continues texts, all by a token, until each has ended.
func (m *Model) goOn(o *eager.Ops, texts []*continued) error {
	past, ends := nn.NewKeys(m.Config.Layers), m.ends()
	for {
		s, last := &nn.Sequences{Past: past, Keep: true}, &nn.RowSet{}
		var ids []int32
		var live []*continued
		for _, t := range texts {
			if len(t.next) == 0 {
				continue
			}
			r := s.Behind(t.seen, len(t.next))
			for i := r.Lo; i < r.Hi; i++ {
				t.seen = append(t.seen, ^int32(past.Rows()+i))
			}
			ids, live, last.V = append(ids, t.next...), append(live, t), append(last.V, int32(r.Hi-1))
		}
		if len(live) == 0 {
			return nil
		}
		logits, err := m.step(o, ids, s, last)
		if err != nil {
			return err
		}
		for i, t := range live {
			t.take(logits.Data[i*logits.Stride:][:m.Config.Vocab], ends, m.Limit())
		}
	}
}

// step computes tokens that stand as s says, of which the keys and values are kept,
// and returns the logits at the rows of last, valid until the next step.
func (m *Model) step(o *eager.Ops, ids []int32, s *nn.Sequences, last *nn.RowSet) (kernel.Matrix, error) {
	o.Reset()
	o.SetTasks([]nn.Range{{Lo: 0, Hi: len(ids)}})
	last.Tasks = []nn.Range{{Lo: 0, Hi: len(last.V)}}
	var final kernel.Matrix
	if o.OnLinear == nil {
		final = Forward(o, m, &nn.IDs{V: ids}, s, last)
	} else { // who looks at layers sees every row, in the last block too
		final = o.Rows(Forward(o, m, &nn.IDs{V: ids}, s, nil), last)
	}
	logits := m.Logits(o, final)
	s.Past.Advance(len(ids))
	return logits, o.Err()
}

// take adds the token that the logits behind the text, [Vocab], give.
func (t *continued) take(logits []float32, ends []int32, limit int) {
	id := t.Sampler.pick(logits, t.draw)
	t.next = nil
	if t.StopAtEOS && slices.Contains(ends, id) {
		return
	}
	t.out = append(t.out, id)
	switch {
	case t.OnToken != nil && !t.OnToken(id):
	case len(t.out) >= t.Tokens || t.size+len(t.out) > limit:
	default:
		t.next = []int32{id}
	}
}

// ends are the tokens that end a text.
func (m *Model) ends() []int32 {
	ends := slices.Clone(m.Config.EOS)
	if m.Tokenizer != nil {
		if id, ok := m.Tokenizer.EOS(); ok {
			ends = append(ends, id)
		}
	}
	return ends
}

func (s Sampler) validate() error {
	if !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0) {
		return fmt.Errorf("temperature: %v is not a number from 0 on", s.Temperature)
	}
	if s.TopK < 0 {
		return fmt.Errorf("top-k: %d is negative; use 0 for all tokens", s.TopK)
	}
	return nil
}

// pick chooses a token: [Vocab] logits to an id.
func (s Sampler) pick(logits []float32, draw *rand.Rand) int32 {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	if s.Temperature == 0 || s.TopK == 1 {
		return int32(best)
	}
	k := len(logits)
	if s.TopK > 0 {
		k = min(k, s.TopK)
	}
	order := highest(logits, k)
	weights := make([]float64, len(order))
	total := 0.0
	for i, id := range order {
		weights[i] = math.Exp(float64(logits[id]-logits[best]) / s.Temperature)
		total += weights[i]
	}
	left := draw.Float64() * total
	for i, w := range weights {
		if left -= w; left < 0 {
			return order[i]
		}
	}
	return int32(best) // rounding left a rest
}

// highest are the ids of the k largest logits, largest first and of equal ones the
// smaller id first; all ids, in their order, where k is their number.
func highest(logits []float32, k int) []int32 {
	order := make([]int32, 0, k+1)
	if k == len(logits) {
		for i := range logits {
			order = append(order, int32(i))
		}
		return order
	}
	for i, v := range logits {
		if len(order) == k && !(v > logits[order[k-1]]) {
			continue
		}
		at, _ := slices.BinarySearchFunc(order, v, func(id int32, v float32) int {
			if logits[id] >= v {
				return -1
			}
			return 1
		})
		order = slices.Insert(order, at, int32(i))
		order = order[:min(k, len(order))]
	}
	return order
}
