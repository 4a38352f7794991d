package edit

import (
	"fmt"
	"math"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// checkNorm compares the changes with the norm that the editor reported. Edit
// files of the first version have no sum, and this finds most damage to their
// values. Changes that are not
// all of low rank, or of one weight, tell no norm.
func (e *Edited) checkNorm() error {
	const tolerance = 1e-6
	want, reported := 0.0, false
	for _, f := range e.Report {
		if v, ok := f.Value.(float64); ok && f.Name == "update_norm" {
			want, reported = v, true
		}
	}
	if !reported {
		return nil
	}
	square, seen := 0.0, map[string]bool{}
	for _, c := range e.Changes {
		if c.Delta == nil || seen[c.Weight] {
			return nil
		}
		seen[c.Weight] = true
		square += squaredNorm(*c.Delta)
	}
	if got := math.Sqrt(square); math.Abs(got-want) > tolerance*want {
		return fmt.Errorf("the changes have the norm %v, its report says %v: it is damaged", got, want)
	}
	return nil
}

// squaredNorm is ‖Scale·Dᵀ·U‖² in Frobenius' norm, from the two Gram matrices:
// Σ_ij (u_i·u_j)(d_i·d_j).
func squaredNorm(d nn.Delta) float64 {
	sum := 0.0
	for i := range d.U.Rows {
		for j := range d.U.Rows {
			sum += rowDot(d.U, i, j) * rowDot(d.D, i, j)
		}
	}
	return sum * float64(d.Scale) * float64(d.Scale)
}

// rowDot is the product of two rows.
func rowDot(m kernel.Matrix, i, j int) float64 {
	sum := 0.0
	for k := range m.Cols {
		sum += float64(m.Data[i*m.Stride+k]) * float64(m.Data[j*m.Stride+k])
	}
	return sum
}
