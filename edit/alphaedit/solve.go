package alphaedit

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
)

// basis is the kept directions of a site.
type basis struct {
	kept  *mat.Dense // Ûᵀ, [r, d_ff]; nil if there are none
	width int        // d_ff
	block int
}

// system solves for AlphaEdit's updates.
type system struct {
	sites  []basis
	lambda float64
}

// Transform implements spread.System: Ûᵀ·K, [r, n], or a row of zeros where no
// direction is kept.
func (s *system) Transform(site int, k *mat.Dense) (*mat.Dense, error) {
	b := s.sites[site]
	_, n := k.Dims()
	out := mat.NewDense(1, n, nil)
	if b.kept != nil {
		out = new(mat.Dense)
		out.Mul(b.kept, k)
	}
	return out, nil
}

// Tell implements spread.Teller: what is left of the length of a site's keys in the
// kept directions, on average. A key that loses all cannot be written.
func (s *system) Tell(site int, keys kernel.Matrix, report *edit.Edited) {
	share := 0.0
	for i := range keys.Rows {
		k := mat.NewDense(keys.Cols, 1, nil)
		for j := range keys.Cols {
			k.Set(j, 0, float64(keys.Data[i*keys.Stride+j]))
		}
		kept, err := s.Transform(site, k)
		if whole := mat.Norm(k, 2); err == nil && whole > 0 {
			share += mat.Norm(kept, 2) / whole / float64(keys.Rows)
		}
	}
	report.Add(fmt.Sprintf("kept_share_of_keys[%d]", s.sites[site].block), share)
}

// Solve implements spread.System. For all projected keys B [r, all] and the last
// n of them, B_n, it is Û·(B·Bᵀ + λI)⁻¹·B_n, [d_ff, n].
func (s *system) Solve(site int, transformed *mat.Dense, n int) (*mat.Dense, error) {
	b := s.sites[site]
	if b.kept == nil {
		return mat.NewDense(b.width, n, nil), nil
	}
	r, all := transformed.Dims()
	var y mat.Dense
	if all <= r { // (B·Bᵀ + λI)⁻¹·B = B·(Bᵀ·B + λI)⁻¹
		unit := mat.NewDense(all, n, nil)
		for i := range n {
			unit.Set(all-n+i, i, 1)
		}
		columns, err := s.ridge(transformed.T(), unit)
		if err != nil {
			return nil, err
		}
		y.Mul(transformed, columns)
	} else {
		x, err := s.ridge(transformed, transformed.Slice(0, r, all-n, all))
		if err != nil {
			return nil, err
		}
		y.CloneFrom(x)
	}
	var x mat.Dense
	x.Mul(b.kept.T(), &y)
	return &x, nil
}

// ridge is (A·Aᵀ + λI)⁻¹·right.
func (s *system) ridge(a, right mat.Matrix) (*mat.Dense, error) {
	size, _ := a.Dims()
	var gram mat.SymDense
	gram.SymOuterK(1, a)
	for i := range size {
		v := gram.At(i, i) + s.lambda
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, errors.New("the keys are not finite; the model computes no numbers any more")
		}
		gram.SetSym(i, i, v)
	}
	var chol mat.Cholesky
	if !chol.Factorize(&gram) {
		return nil, errors.New("the keys depend on one another so much that L2 vanishes beside them; raise L2")
	}
	var x mat.Dense
	if err := chol.SolveTo(&x, right); err != nil {
		return nil, fmt.Errorf("solving with the keys: %w; raise L2", err)
	}
	return &x, nil
}
