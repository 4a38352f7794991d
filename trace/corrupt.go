package trace

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Corruption is a change of the embeddings of a range of tokens, sample by
// sample.
type Corruption struct {
	Samples int
	Values  []float32 // [Samples, tokens, width]
	Replace bool      // Values take the place of the embeddings; else they are added
}

// Gaussian and Uniform are noise as NumPy draws it: RandomState(seed).randn or
// .uniform(-1, 1) of the shape [samples, tokens, width], times level.
func Gaussian(level float64, seed uint32, samples, tokens, width int) Corruption {
	return drawn(level, samples*tokens*width, samples, newRandomState(seed).normal)
}

// Uniform is described at Gaussian.
func Uniform(level float64, seed uint32, samples, tokens, width int) Corruption {
	return drawn(level, samples*tokens*width, samples, newRandomState(seed).uniform)
}

func drawn(level float64, n, samples int, draw func() float64) Corruption {
	c := Corruption{Samples: samples, Values: make([]float32, n)}
	for i := range c.Values {
		c.Values[i] = float32(level * draw())
	}
	return c
}

// Masked puts one vector in the place of each of the tokens' embeddings.
func Masked(vector []float32, tokens int) Corruption {
	c := Corruption{Samples: 1, Replace: true}
	for range tokens {
		c.Values = append(c.Values, vector...)
	}
	return c
}

// apply changes rows [first, first+tokens) of sample s of x, whose samples have
// n rows each.
func (c Corruption) apply(x kernel.Matrix, n, first, tokens int) {
	size := tokens * x.Cols
	for s := range c.Samples {
		row := (s*n + first) * x.Cols
		dst, values := x.Data[row:row+size], c.Values[s*size:(s+1)*size]
		if c.Replace {
			copy(dst, values)
			continue
		}
		for i, v := range values {
			dst[i] += v
		}
	}
}

// EmbeddingStd is the standard deviation of all components of the token
// embeddings of all tokens of the subjects, each tokenised alone.
func EmbeddingStd(m *lm.Model, subjects []string) (float64, error) {
	if m.Tokenizer == nil {
		return 0, errors.New("embeddings of subjects: the model has no tokenizer")
	}
	table, err := embeddings(m)
	if err != nil {
		return 0, err
	}
	row := make([]float32, m.Config.Width)
	var n, mean, squares float64
	for _, s := range subjects {
		for _, id := range m.Tokenizer.Encode(strings.TrimSpace(s)) {
			if err := table(row, id); err != nil {
				return 0, err
			}
			for _, v := range row {
				n++
				d := float64(v) - mean
				mean += d / n
				squares += d * (float64(v) - mean)
			}
		}
	}
	if n < 2 {
		return 0, errors.New("embeddings of subjects: the subjects have no tokens")
	}
	return math.Sqrt(squares / (n - 1)), nil
}

// maskVector is the vector that Config.Mask names.
func maskVector(m *lm.Model, mask string) ([]float32, error) {
	out := make([]float32, m.Config.Width)
	if mask == "zero" {
		return out, nil
	}
	table, err := embeddings(m)
	if err != nil {
		return nil, err
	}
	if text, ok := strings.CutPrefix(mask, "token:"); ok {
		ids := m.Tokenizer.Encode(text)
		if len(ids) != 1 {
			return nil, fmt.Errorf("mask: %q is %d tokens; name a text of one token", text, len(ids))
		}
		return out, table(out, ids[0])
	}
	row, sum := make([]float32, len(out)), make([]float64, len(out))
	for id := range m.Config.Vocab {
		if err := table(row, int32(id)); err != nil {
			return nil, err
		}
		for i, v := range row {
			sum[i] += float64(v)
		}
	}
	for i := range out {
		out[i] = float32(sum[i] / float64(m.Config.Vocab))
	}
	return out, nil
}

// embeddings returns a function that reads rows of the token embedding, which
// is the first weight of every architecture.
func embeddings(m *lm.Model) (func(dst []float32, id int32) error, error) {
	p := m.Params()[0]
	if p.Rows != m.Config.Vocab || p.Cols != m.Config.Width {
		return nil, fmt.Errorf("weight %s is no token embedding", p.Name)
	}
	return func(dst []float32, id int32) error { return p.Row(dst, int(id)) }, nil
}
