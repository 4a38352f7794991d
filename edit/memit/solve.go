package memit

import (
	"errors"

	"gonum.org/v1/gonum/mat"
)

// moment is a positive definite matrix C.
type moment interface {
	SolveAll(k mat.Matrix) (*mat.Dense, error)
}

// spread is X = (λ·C + K·Kᵀ)⁻¹·K, [in, n], for K [in, n], by way of a system of
// size n: C⁻¹·K·(λ·I + Kᵀ·C⁻¹·K)⁻¹.
func spread(c moment, k *mat.Dense, lambda float64) (*mat.Dense, error) {
	ck, err := c.SolveAll(k)
	if err != nil {
		return nil, err
	}
	_, n := k.Dims()
	var gram mat.Dense
	gram.Mul(k.T(), ck)
	small := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			small.SetSym(i, j, (gram.At(i, j)+gram.At(j, i))/2)
		}
		small.SetSym(i, i, small.At(i, i)+lambda)
	}
	var chol mat.Cholesky
	if !chol.Factorize(small) {
		return nil, errors.New("the requests' keys depend on one another; raise mom2_update_weight or edit fewer at once")
	}
	var xt, x mat.Dense // Xᵀ = small⁻¹·(C⁻¹·K)ᵀ
	if err := chol.SolveTo(&xt, ck.T()); err != nil {
		return nil, err
	}
	x.CloneFrom(xt.T())
	return &x, nil
}
