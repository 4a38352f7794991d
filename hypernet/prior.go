package hypernet

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/internal/kernel"
)

// Prior is the second moment C = E[k·kᵀ] of a layer's inputs over texts that
// must stay, and what of A = C + ρ·tr(C)/m·I the solve needs.
type Prior struct {
	Width int
	Rows  int64     // inputs that the moment is the mean of; 0: none yet
	C     []float32 // lower triangle, row by row: [Width·(Width+1)/2]

	white kernel.Matrix // B [Width, Width] with B·Bᵀ = A⁻¹
	fresh bool          // white is that of C
}

// NewPrior is the prior of a layer with inputs of the given width, without a
// moment.
func NewPrior(width int) *Prior {
	return &Prior{Width: width, C: make([]float32, width*(width+1)/2)}
}

// PriorBytes is the memory of a prior of the given width, factorised.
func PriorBytes(width int) int64 {
	w := int64(width)
	return 4 * (w*(w+1)/2 + w*w)
}

// Set takes the moment of rows inputs whose products add up to sum,
// [Width, Width], of which the upper triangle counts.
func (p *Prior) Set(sum []float64, rows int64) {
	at := 0
	for i := range p.Width {
		for j := range i + 1 {
			p.C[at] = float32(sum[j*p.Width+i] / float64(rows))
			at++
		}
	}
	p.Rows = rows
	p.Changed()
}

// Changed must be called after C was written to.
func (p *Prior) Changed() { p.fresh = false }

// factor makes B of C + shrink·tr(C)/m·I in float64.
func (p *Prior) factor(shrink float64) error {
	if p.fresh {
		return nil
	}
	n := p.Width
	a := mat.NewSymDense(n, nil)
	trace, at := 0.0, 0
	for i := range n {
		for j := range i + 1 {
			a.SetSym(i, j, float64(p.C[at]))
			at++
		}
		trace += a.At(i, i)
	}
	mean := trace / float64(n)
	if !(mean > 0) || math.IsInf(mean, 0) {
		return fmt.Errorf("the mean square of the inputs is %g: the moment is empty or damaged", mean)
	}
	for i := range n {
		a.SetSym(i, i, a.At(i, i)+shrink*mean)
	}
	var chol mat.Cholesky
	if !chol.Factorize(a) {
		return fmt.Errorf("the moment of width %d has no Cholesky factor; raise update.shrink", n)
	}
	var l mat.TriDense
	chol.LTo(&l)
	var inverse mat.TriDense // L⁻¹, so that A⁻¹ = L⁻ᵀ·L⁻¹
	if err := inverse.InverseTri(&l); err != nil {
		return fmt.Errorf("the moment of width %d: %w; raise update.shrink", n, err)
	}
	p.white = kernel.Mat(make([]float32, n*n), n, n)
	for i := range n {
		for j := range i + 1 {
			p.white.Data[j*n+i] = float32(inverse.At(i, j))
		}
	}
	p.fresh = true
	return nil
}
