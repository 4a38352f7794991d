package rome

import (
	"errors"
	"fmt"
	"math"
)

// update is the rank-one change W += right·leftᵀ in the orientation [out, in].
type update struct {
	left    []float64 // [in], of norm 1
	right   []float64 // [out]
	divisor float64   // leftᵀ·k
}

// solver is a positive definite matrix C.
type solver interface {
	Solve(k []float64) ([]float64, error)
}

// identity is C = I.
type identity struct{}

func (identity) Solve(k []float64) ([]float64, error) { return k, nil }

// newUpdate makes the change that lets k, answered by y so far, be answered by
// target, along C⁻¹·direction.
func newUpdate(c solver, direction, k, y, target []float64) (*update, error) {
	left, err := c.Solve(direction)
	if err != nil {
		return nil, err
	}
	length := math.Sqrt(dot(left, left))
	if !(length > 0) || math.IsInf(length, 0) {
		return nil, errors.New("the key is 0 or not finite")
	}
	u := &update{left: make([]float64, len(left)), right: make([]float64, len(y))}
	for i := range left {
		u.left[i] = left[i] / length
	}
	if u.divisor = dot(u.left, k); u.divisor == 0 || math.IsNaN(u.divisor) {
		return nil, fmt.Errorf("the division factor is %v: the key's direction and the key are at right angles", u.divisor)
	}
	for i := range y {
		u.right[i] = (target[i] - y[i]) / u.divisor
	}
	return u, nil
}

// norm is the Frobenius norm of the change.
func (u *update) norm() float64 { return math.Sqrt(dot(u.left, u.left) * dot(u.right, u.right)) }

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func cosine(a, b []float64) float64 {
	return dot(a, b) / math.Sqrt(dot(a, a)*dot(b, b))
}
