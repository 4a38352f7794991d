package kerneltest

import (
	"math/rand/v2"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
)

// SameBytes checks that two implementations agree to the bit on every case.
func SameBytes(t *testing.T, a, b Gemmer) {
	t.Helper()
	for _, c := range Cases() {
		CaseHasSameBytes(t, a, b, c)
		if t.Failed() {
			return
		}
	}
}

// CaseHasSameBytes is SameBytes for one case.
func CaseHasSameBytes(t *testing.T, a, b Gemmer, c Case) {
	t.Helper()
	x, p := c.operands(2)
	y := clone(x)
	a.Gemm(x, p)
	b.Gemm(y, p)
	if !equal(x, y) {
		t.Errorf("%v: the two results differ", c)
	}
}

// PlaceIndependent checks that a window of C, computed from its rows of op(A)
// and its columns of op(B) alone, has the bytes it has within the whole.
func PlaceIndependent(t *testing.T, g Gemmer) {
	t.Helper()
	checked := 0
	for _, c := range Cases() {
		checked += CaseIsPlaceIndependent(t, g, c, 3)
		if t.Failed() {
			return
		}
	}
	if checked < 1000 {
		t.Errorf("checked %d windows only", checked)
	}
}

// CaseIsPlaceIndependent is PlaceIndependent for one case and some windows,
// the first of which is a single row. It returns how many it checked.
func CaseIsPlaceIndependent(t *testing.T, g Gemmer, c Case, windows int) (checked int) {
	t.Helper()
	if c.M*c.N == 0 {
		return 0
	}
	rng := rand.New(rand.NewPCG(3, 1))
	whole, p := c.operands(3)
	old := clone(whole)
	g.Gemm(whole, p)
	for w := range windows {
		i0, j0 := rng.IntN(c.M), rng.IntN(c.N)
		m, n := 1+rng.IntN(c.M-i0), 1+rng.IntN(c.N-j0)
		if w == 0 {
			m, j0, n = 1, 0, c.N
		}
		q := p
		q.A = window(p.A, i0, m, 0, c.K, c.TransA)
		q.B = window(p.B, 0, c.K, j0, n, c.TransB)
		part := clone(window(old, i0, m, j0, n, false))
		g.Gemm(part, q)
		want := window(whole, i0, m, j0, n, false)
		for r := range m {
			a := kernel.Mat(part.Data[r*part.Stride:][:n], 1, n)
			b := kernel.Mat(want.Data[r*want.Stride:][:n], 1, n)
			if !equal(a, b) {
				t.Errorf("%v: rows [%d, %d), columns [%d, %d) alone differ in row %d", c, i0, i0+m, j0, j0+n, r)
				return checked
			}
		}
		checked++
	}
	return checked
}

// window is the view of rows [i, i+rows) and columns [j, j+cols) of op(m).
func window(m kernel.Matrix, i, rows, j, cols int, trans bool) kernel.Matrix {
	if trans {
		i, rows, j, cols = j, cols, i, rows
	}
	if rows == 0 || cols == 0 {
		return kernel.Matrix{Rows: rows, Cols: cols, Stride: m.Stride}
	}
	from := i*m.Stride + j
	return kernel.Matrix{Rows: rows, Cols: cols, Stride: m.Stride, Data: m.Data[from : from+(rows-1)*m.Stride+cols]}
}
