package kernel

import (
	"fmt"
	"time"
)

// Matrix is a row-major view of float32s: element (i, j) is Data[i*Stride+j].
type Matrix struct {
	Rows, Cols, Stride int
	Data               []float32
}

// Mat returns a dense matrix over data: [rows, cols].
func Mat(data []float32, rows, cols int) Matrix {
	return Matrix{Rows: rows, Cols: cols, Stride: cols, Data: data}
}

// Slice is the view of m's rows [lo, hi).
func (m Matrix) Slice(lo, hi int) Matrix {
	return Matrix{Rows: hi - lo, Cols: m.Cols, Stride: m.Stride, Data: m.Data[lo*m.Stride : (hi-1)*m.Stride+m.Cols]}
}

// Columns is the view of m's columns [lo, hi). m has rows.
func (m Matrix) Columns(lo, hi int) Matrix {
	return Matrix{Rows: m.Rows, Cols: hi - lo, Stride: m.Stride, Data: m.Data[lo : (m.Rows-1)*m.Stride+hi]}
}

// Clone is m in memory of its own, dense.
func (m Matrix) Clone() Matrix {
	out := Mat(make([]float32, m.Rows*m.Cols), m.Rows, m.Cols)
	out.Put(m)
	return out
}

// Put copies x, of m's shape, into m.
func (m Matrix) Put(x Matrix) {
	for i := range m.Rows {
		copy(m.Data[i*m.Stride:i*m.Stride+m.Cols], x.Data[i*x.Stride:i*x.Stride+x.Cols])
	}
}

// Product is C = op(A)·op(B), or C += op(A)·op(B), where op transposes its
// argument if the flag says so. Shapes: op(A) [m, k], op(B) [k, n], C [m, n].
type Product struct {
	A, B           Matrix
	TransA, TransB bool
	Accumulate     bool
}

// Gemm computes p into c, which must not overlap A or B. It panics when the
// shapes do not fit.
//
// Each element of c is a sum over k in one fixed order: k is cut into blocks
// by a rule that knows k alone; a block is one chain of fused multiply-adds
// from zero upward; the blocks' sums are added in order, to the old element if
// p.Accumulate. So an element depends on its row of op(A) and its column of
// op(B) and on nothing else: not on m, n, the number of threads, the strides,
// the transpositions, or which of avx512, avx2 and go computes it. (The
// openblas backend promises none of this.)
func (e *Engine) Gemm(c Matrix, p Product) {
	m, k := p.A.Rows, p.A.Cols
	if p.TransA {
		m, k = k, m
	}
	kb, n := p.B.Rows, p.B.Cols
	if p.TransB {
		kb, n = n, kb
	}
	if k != kb || c.Rows != m || c.Cols != n {
		panic(fmt.Sprintf("kernel: product [%d, %d] = [%d, %d]·[%d, %d] does not fit", c.Rows, c.Cols, m, k, kb, n))
	}
	c.check("C")
	p.A.check("A")
	p.B.check("B")
	defer e.countGemm(time.Now(), 2*m*n*k)
	switch {
	case m == 0 || n == 0:
	case k == 0:
		if !p.Accumulate {
			for i := range m {
				clear(c.Data[i*c.Stride:][:n])
			}
		}
	case e.blas != nil:
		e.blas.gemm(c, p, m, n, k)
	default:
		j := e.job()
		j.multiply(e, c, p, m, n, k)
		e.release(j)
	}
}

func (x Matrix) check(name string) {
	if x.Rows < 0 || x.Cols < 0 || x.Stride < x.Cols {
		panic(fmt.Sprintf("kernel: %s is [%d, %d] with stride %d", name, x.Rows, x.Cols, x.Stride))
	}
	if x.Rows > 0 && x.Cols > 0 && len(x.Data) < (x.Rows-1)*x.Stride+x.Cols {
		panic(fmt.Sprintf("kernel: %s is [%d, %d] with stride %d but has %d elements", name, x.Rows, x.Cols, x.Stride, len(x.Data)))
	}
}
