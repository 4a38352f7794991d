package lm

import (
	"fmt"
	"math"
	"math/rand/v2"

	"keyhole.example/keyhole/nn"
)

// New makes a model with fresh weights, for pretraining and tests: normal with
// standard deviation 0.02, projections that write to the residual stream
// divided by √(2·layers) besides, norms of 1 and biases of 0 (Radford et al.
// 2019). Weights are drawn in the order of Params.
func New(c Config, rng *rand.Rand) (*Model, error) {
	arch, err := findArchitecture(c.ModelType, "")
	if err != nil {
		return nil, fmt.Errorf("new model: %w", err)
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.Width / c.Heads
	}
	m, err := newModel(arch, c, &freshSource{rng: rng, layers: c.Layers})
	if err != nil {
		return nil, fmt.Errorf("new model: %w", err)
	}
	return m, nil
}

// freshSource draws weights.
type freshSource struct {
	rng    *rand.Rand
	layers int
}

func (s *freshSource) param(w weight) (*nn.Param, error) {
	rows, cols := w.matrix()
	const limit = 1 << 31 // elements, 8 GiB
	if rows > limit/cols {
		return nil, fmt.Errorf("weight %s of shape %v is too large for a fresh model", w.name, w.shape)
	}
	data := make([]float32, rows*cols)
	std := 0.02
	switch w.start {
	case startZeros:
	case startOnes:
		for i := range data {
			data[i] = 1
		}
	default:
		if w.start == startResidual {
			std /= math.Sqrt(2 * float64(s.layers))
		}
		for i := range data {
			data[i] = float32(s.rng.NormFloat64() * std)
		}
	}
	return nn.NewParam(w.name, rows, cols, data), nil
}
