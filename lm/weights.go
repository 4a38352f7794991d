package lm

import (
	"math/rand/v2"

	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn"
)

// Weights hand a network that is no architecture of this package, such as a sentence
// encoder's, its weights one by one, as an architecture gets its own. Names are without
// ".weight" and ".bias", which are put behind them.
type Weights struct{ b binder }

// FileWeights are those of a file, under their names, or under these behind prefix.
func FileWeights(file tensorfile.File, prefix string) *Weights {
	return newWeights(newFileSource(file, func(w weight) place { return place{names: []string{w.name, prefix + w.name}} }))
}

// FreshWeights are drawn as New draws a model's: normal with standard deviation 0.02,
// norms of 1 and biases of 0.
func FreshWeights(rng *rand.Rand) *Weights { return newWeights(&freshSource{rng: rng}) }

func newWeights(s source) *Weights {
	return &Weights{binder{source: s, shapes: map[string][]int{}}}
}

// Table is an embedding, [rows, cols].
func (w *Weights) Table(name string, rows, cols int) *nn.Param {
	return w.b.table(name+".weight", rows, cols)
}

// Linear is a layer with a bias; its weight is stored [out, in].
func (w *Weights) Linear(name string, in, out int) *nn.Linear {
	return w.b.freeLinear(linear{name: name, in: in, out: out, bias: true})
}

// LayerNorm is a norm of rows of a width.
func (w *Weights) LayerNorm(name string, width int, eps float64) *nn.Norm {
	return w.b.layerNorm(name, &Config{Width: width, Eps: eps})
}

// Taken are the weights in the order in which they were asked for, or the first error.
func (w *Weights) Taken() ([]*nn.Param, error) { return w.b.params, w.b.err }
