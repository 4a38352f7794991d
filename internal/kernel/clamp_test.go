package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestClampIsRightAndLevelsAgreeToTheBit compares the four kernels with their
// definition, row by row, and the sets of instructions with one another.
func TestClampIsRightAndLevelsAgreeToTheBit(t *testing.T) {
	const rows = 5
	first := map[string][]float32{}
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		for _, floor := range []float32{0, float32(math.Inf(-1))} {
			for _, cols := range append(rowLengths, 200) {
				rng := rand.New(rand.NewPCG(31, uint64(cols)))
				q, dy := randomRow(rng, rows*cols, 1), randomRow(rng, rows*cols, 1)
				a := Affine{randomRow(rng, cols, 1), randomRow(rng, cols, 1), randomRow(rng, cols, 1), floor}
				q[0], a.Bias[0], a.Shift[0] = 1, -1, 0 // at the clamp, where the gradient passes
				y, dq := make([]float32, rows*cols), make([]float32, rows*cols)
				shift, gain := make([]float32, cols), make([]float32, cols)
				for r := range rows {
					lo, hi := r*cols, (r+1)*cols
					e.Clamp(y[lo:hi], q[lo:hi], a)
					e.ClampGrad(dq[lo:hi], dy[lo:hi], q[lo:hi], a)
				}
				e.ClampShiftGrad(shift, dy, q, rows, cols, a)
				e.ClampGainGrad(gain, dy, q, rows, cols, a)

				wantY, wantDQ := make([]float64, rows*cols), make([]float64, rows*cols)
				wantShift, wantGain := make([]float64, cols), make([]float64, cols)
				for i := range q {
					c := i % cols
					sum := float64(q[i]) + float64(a.Bias[c])
					x := sum*float64(a.Gain[c]) + float64(a.Shift[c])
					wantY[i] = math.Max(x, float64(floor))
					if x >= float64(floor) {
						wantDQ[i] = float64(dy[i]) * float64(a.Gain[c])
						wantShift[c] += float64(dy[i])
						wantGain[c] += float64(dy[i]) * sum
					}
				}
				for _, c := range []struct {
					name string
					got  []float32
					want []float64
				}{{"y", y, wantY}, {"dq", dq, wantDQ}, {"shift", shift, wantShift}, {"gain", gain, wantGain}} {
					name := fmt.Sprintf("%s, %d columns, floor %v", c.name, cols, floor)
					closeTo(t, name, c.got, c.want, 1e-5)
					if _, ok := first[name]; !ok {
						first[name] = c.got
					}
					sameBits(t, name, c.got, first[name])
				}
			}
		}
	})
}
