// Package optim is the optimiser of meta-training: the mean of several
// examples' gradients, clipping by the global norm, and Adam at two rates, one
// for the network and one for the step sizes.
//
// All that it remembers is in State, which a checkpoint saves. Semantics are
// those of torch.nn.utils.clip_grad_norm_ and torch.optim.Adam (epsilon is
// added to the bias-corrected root); it is not AdamW.
package optim

import (
	"math"

	"keyhole.example/keyhole/internal/kernel"
)

// State is what the optimiser remembers: Adam's moments, like the parameters,
// and the number of steps done.
type State struct {
	M, V  []float32
	Steps int
}

// NewState is the state before the first step of n parameters.
func NewState(n int) State { return State{M: make([]float32, n), V: make([]float32, n)} }

// Outer is the step of the outer loop.
type Outer struct {
	LR, RateLR float64 // rates of the network and of the step sizes
	Rates      int     // how many of the last parameters are step sizes
	Divisor    int     // examples whose gradients were summed
	Clip       float64 // largest norm of the mean gradient
}

// Norm is the norm of the mean gradient, given the sum.
func (o Outer) Norm(k *kernel.Engine, grads []float32) float64 {
	return math.Sqrt(k.SumSquares(grads)) / float64(o.Divisor)
}

// Step changes params by the summed gradients, whose mean has the given norm,
// and clears grads.
func (o Outer) Step(k *kernel.Engine, params, grads []float32, norm float64, s *State) {
	s.Steps++
	scale := 1 / float64(o.Divisor)
	if clip := o.Clip / (norm + 1e-6); clip < 1 {
		scale *= clip
	}
	split := len(params) - o.Rates
	group := func(lo, hi int, lr float64) {
		a := kernel.NewAdam(lr)
		k.AdamStep(params[lo:hi], grads[lo:hi], s.M[lo:hi], s.V[lo:hi], a, s.Steps, float32(scale))
	}
	group(0, split, o.LR)
	group(split, len(params), o.RateLR)
}
