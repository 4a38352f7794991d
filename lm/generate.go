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
	if len(prompt) == 0 {
		return nil, errors.New("generate: the prompt has no tokens")
	}
	if err := m.CheckLength(len(prompt)); err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	if err := opts.Sampler.validate(); err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	past := nn.NewKeys(m.Config.Layers)
	draw := rand.New(rand.NewPCG(opts.Sampler.Seed, seedStream))
	ends := m.ends()
	var out []int32
	for next := prompt; len(out) < opts.Tokens; {
		logits, err := m.step(o, past, next)
		if err != nil {
			return nil, fmt.Errorf("generate: %w", err)
		}
		id := opts.Sampler.pick(logits, draw)
		if opts.StopAtEOS && slices.Contains(ends, id) {
			break
		}
		out = append(out, id)
		if opts.OnToken != nil && !opts.OnToken(id) {
			break
		}
		if len(prompt)+len(out) > m.Limit() {
			break
		}
		next = []int32{id}
	}
	return out, nil
}

// seedStream is the second half of a PCG seed; any constant does.
const seedStream = 0x6b6579686f6c65

// step computes tokens behind those that past has keys of, adds theirs, and
// returns the logits behind the last one, valid until the next step.
func (m *Model) step(o *eager.Ops, past *nn.Keys, ids []int32) ([]float32, error) {
	o.Reset()
	n, at := len(ids), past.Rows()
	s := nn.Pack(n)
	s.Past = past
	for i := range s.Pos {
		s.Pos[i] += int32(at)
	}
	s.Segs[0].KLen = at + n
	o.SetTasks([]nn.Range{{Lo: 0, Hi: n}})
	last := &nn.RowSet{V: []int32{int32(n - 1)}, Tasks: []nn.Range{{Lo: 0, Hi: 1}}}
	var final kernel.Matrix
	if o.OnLinear == nil {
		final = Forward(o, m, &nn.IDs{V: ids}, s, last)
	} else { // who looks at layers sees every row, in the last block too
		final = o.Rows(Forward(o, m, &nn.IDs{V: ids}, s, nil), last)
	}
	logits := m.Logits(o, final)
	if err := o.Err(); err != nil {
		return nil, err
	}
	past.Advance(n)
	return logits.Data[:m.Config.Vocab], nil
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
	order := make([]int32, len(logits))
	best := 0
	for i, v := range logits {
		order[i] = int32(i)
		if v > logits[best] {
			best = i
		}
	}
	if s.Temperature == 0 || s.TopK == 1 {
		return int32(best)
	}
	if s.TopK > 0 && s.TopK < len(order) {
		slices.SortStableFunc(order, func(a, b int32) int {
			switch {
			case logits[a] > logits[b]:
				return -1
			case logits[a] < logits[b]:
				return 1
			}
			return 0
		})
		order = order[:s.TopK]
	}
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
