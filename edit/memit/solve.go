package memit

import (
	"errors"

	"gonum.org/v1/gonum/mat"
)

// system solves for MEMIT's updates.
type system struct {
	moments []moment // of the sites
	lambda  float64
}

// Transform implements spread.System: keys K become [K; C⁻¹·K], [2·d_ff, n].
func (s *system) Transform(site int, k *mat.Dense) (*mat.Dense, error) {
	ck, err := s.moments[site].SolveAll(k)
	if err != nil {
		return nil, err
	}
	var both mat.Dense
	both.Stack(k, ck)
	return &both, nil
}

// Solve implements spread.System. For all keys K it is the last n columns of
// X = (λ·C + K·Kᵀ)⁻¹·K = C⁻¹·K·(λ·I + Kᵀ·C⁻¹·K)⁻¹.
func (s *system) Solve(_ int, transformed *mat.Dense, n int) (*mat.Dense, error) {
	rows, all := transformed.Dims()
	k, ck := transformed.Slice(0, rows/2, 0, all), transformed.Slice(rows/2, rows, 0, all)
	var gram mat.Dense
	gram.Mul(k.T(), ck)
	small := mat.NewSymDense(all, nil)
	for i := range all {
		for j := i; j < all; j++ {
			small.SetSym(i, j, (gram.At(i, j)+gram.At(j, i))/2)
		}
		small.SetSym(i, i, small.At(i, i)+s.lambda)
	}
	var chol mat.Cholesky
	if !chol.Factorize(small) {
		return nil, errors.New("the requests' keys depend on one another; raise mom2_update_weight or edit fewer at once")
	}
	unit := mat.NewDense(all, n, nil) // the last n unit vectors
	for i := range n {
		unit.Set(all-n+i, i, 1)
	}
	var columns, x mat.Dense
	if err := chol.SolveTo(&columns, unit); err != nil {
		return nil, err
	}
	x.Mul(ck, &columns)
	return &x, nil
}
