package kerneltest

import (
	"math"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
)

// Correct checks the product against float64 sums on every case.
//
// The tolerance is the bound for a sum of k products in any order (Higham,
// "Accuracy and Stability of Numerical Algorithms", 2002, §3.1): k+1
// roundings, each of one part in 2²⁴ of the sum of absolute values.
func Correct(t *testing.T, g Gemmer) {
	t.Helper()
	for i, c := range Cases() {
		got, p := c.operands(uint64(i))
		old := clone(got)
		a, b := clone(p.A), clone(p.B)
		g.Gemm(got, p)
		compare(t, c, got, old, p)
		if !equal(a, p.A) || !equal(b, p.B) {
			t.Errorf("%v: an operand was written to", c)
		}
		if t.Failed() {
			return
		}
	}
}

func compare(t *testing.T, c Case, got, old kernel.Matrix, p kernel.Product) {
	t.Helper()
	at := func(m kernel.Matrix, trans bool, i, j int) float64 {
		if trans {
			i, j = j, i
		}
		return float64(m.Data[i*m.Stride+j])
	}
	for i := range c.M {
		for j := range c.N {
			var want, size float64
			if c.Accumulate {
				want = at(old, false, i, j)
				size = math.Abs(want)
			}
			for k := range c.K {
				term := at(p.A, c.TransA, i, k) * at(p.B, c.TransB, k, j)
				want += term
				size += math.Abs(term)
			}
			tol := float64(c.K+1) * 0x1p-24 * size
			if x := at(got, false, i, j); !(math.Abs(x-want) <= tol) {
				t.Errorf("%v: element (%d, %d) is %v, want %v within %.2g", c, i, j, x, want, tol)
				return
			}
		}
		for _, x := range got.Data[i*got.Stride+c.N : (i+1)*got.Stride] {
			if x != gap {
				t.Errorf("%v: wrote %v between rows %d and %d", c, x, i, i+1)
				return
			}
		}
	}
}

// equal reports whether two matrices hold the same bytes, gaps included.
func equal(a, b kernel.Matrix) bool {
	if len(a.Data) != len(b.Data) {
		return false
	}
	for i := range a.Data {
		if math.Float32bits(a.Data[i]) != math.Float32bits(b.Data[i]) {
			return false
		}
	}
	return true
}
