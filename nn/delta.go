package nn

import "keyhole.example/keyhole/internal/kernel"

// Delta is a low-rank addition to a linear layer: y += Scale·(x·Uᵀ)·D, that is
// W += Scale·Dᵀ·U in the orientation [out, in]. U: [rank, in]; D: [rank, out].
type Delta struct {
	U, D  kernel.Matrix
	Scale float32
}

// AddTo adds d to the output y of a layer with input x. s [x.Rows, rank] is
// scratch and holds Scale·x·Uᵀ afterwards.
func (d Delta) AddTo(k *kernel.Engine, y, x, s kernel.Matrix) {
	k.Gemm(s, kernel.Product{A: x, B: d.U, TransB: true})
	k.Scale(s.Data[:s.Rows*s.Cols], d.Scale)
	k.Gemm(y, kernel.Product{A: s, B: d.D, Accumulate: true})
}

// SquaredNorm is ‖Scale·Dᵀ·U‖² in Frobenius' norm, from the two Gram matrices:
// Σ_ij (u_i·u_j)(d_i·d_j).
func (d Delta) SquaredNorm() float64 {
	row := func(m kernel.Matrix, i int) []float32 { return m.Data[i*m.Stride : i*m.Stride+m.Cols] }
	sum := 0.0
	for i := range d.U.Rows {
		for j := range d.U.Rows {
			sum += kernel.Dot64(row(d.U, i), row(d.U, j)) * kernel.Dot64(row(d.D, i), row(d.D, j))
		}
	}
	return sum * float64(d.Scale) * float64(d.Scale)
}
