package kernel

import "math"

// Blocks of work. They are constants, not functions of the thread count, so
// that sums have one order.
const (
	sumBlock  = 1 << 16 // elements summed by one task in SumSquares
	expBlock  = 1024    // elements of exponentials summed in float32 before float64 takes over
	taskFloat = 1 << 13 // elements worth handing to another thread
	cut       = 64      // ranges of elements and columns are cut at multiples of this
)

// forCuts is For with ranges of elements that begin at multiples of cut, so
// that whole vectors stay whole and aligned, whatever the thread count.
func (e *Engine) forCuts(n, grain int, fn func(lo, hi int)) {
	e.For((n+cut-1)/cut, max(1, grain/cut), func(lo, hi int) { fn(lo*cut, min(hi*cut, n)) })
}

// rowGrain is the least number of rows of the given length worth a thread.
func rowGrain(cols int) int {
	if cols >= taskFloat {
		return 1
	}
	return (taskFloat + cols) / (cols + 1)
}

// AddTo adds x to y: y += x. Both [n].
func (e *Engine) AddTo(y, x []float32) {
	if len(y) <= taskFloat {
		addTo(y, x)
		return
	}
	e.forCuts(len(y), taskFloat, func(lo, hi int) { addTo(y[lo:hi], x[lo:hi]) })
}

// Add computes y = a + b. All [n]; y may be a or b.
func (e *Engine) Add(y, a, b []float32) {
	e.forCuts(len(y), taskFloat, func(lo, hi int) { add(y[lo:hi], a[lo:hi], b[lo:hi]) })
}

// Mul computes y = a * b, element by element. All [n]; y may be a or b.
func (e *Engine) Mul(y, a, b []float32) {
	e.forCuts(len(y), taskFloat, func(lo, hi int) { mul(y[lo:hi], a[lo:hi], b[lo:hi]) })
}

// MulAdd computes y += a * b, element by element. All [n].
func (e *Engine) MulAdd(y, a, b []float32) {
	e.forCuts(len(y), taskFloat, func(lo, hi int) { mulAdd(y[lo:hi], a[lo:hi], b[lo:hi]) })
}

// Scale computes y *= s. y: [n].
func (e *Engine) Scale(y []float32, s float32) {
	if len(y) <= taskFloat {
		scale(y, s)
		return
	}
	e.forCuts(len(y), taskFloat, func(lo, hi int) { scale(y[lo:hi], s) })
}

// AXPY computes y += a * x. Both [n].
func (e *Engine) AXPY(y []float32, a float32, x []float32) {
	if len(y) <= taskFloat {
		axpy(y, a, x)
		return
	}
	e.forCuts(len(y), taskFloat, func(lo, hi int) { axpy(y[lo:hi], a, x[lo:hi]) })
}

// Dot is the inner product of a and b, both [n], on the calling thread.
func (e *Engine) Dot(a, b []float32) float32 { return dot(a, b) }

// Dot64 is Σ a[i]·b[i] in float64, added up from the first on.
func Dot64(a, b []float32) float64 {
	sum := 0.0
	b = b[:len(a)]
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return sum
}

// Norm64 is the length of x.
func Norm64(x []float32) float64 { return math.Sqrt(Dot64(x, x)) }

// SumSquares is the sum of the squares of x, [n], in float64.
func (e *Engine) SumSquares(x []float32) float64 {
	blocks := (len(x) + sumBlock - 1) / sumBlock
	parts := make([]float64, blocks)
	e.For(blocks, 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			parts[b] = sumSquares(x[b*sumBlock : min((b+1)*sumBlock, len(x))])
		}
	})
	total := 0.0
	for _, p := range parts {
		total += p
	}
	return total
}

// ColumnSums adds the sum of each column of x, [rows, cols], to y, [cols]. The
// rows are summed in ascending order.
func (e *Engine) ColumnSums(y, x []float32, rows, cols int) {
	one := []float32{1}
	e.forCuts(cols, rowGrain(rows), func(lo, hi int) {
		combine(y[lo:hi], one, 0, x[min(lo, len(x)):], cols, rows, true)
	})
}

// RowsNonZero sets keep[i], [rows], to whether row i of x, [rows, cols], holds
// anything but zeros.
func (e *Engine) RowsNonZero(keep []bool, x []float32, rows, cols int) {
	e.For(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			keep[r] = maxAbsBits(x[r*cols:(r+1)*cols]) != 0
		}
	})
}

// AllFinite reports whether x, [n], holds neither infinities nor NaNs.
func (e *Engine) AllFinite(x []float32) bool {
	blocks := (len(x) + sumBlock - 1) / sumBlock
	bad := make([]bool, blocks)
	e.For(blocks, 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			bits := maxAbsBits(x[b*sumBlock : min((b+1)*sumBlock, len(x))])
			bad[b] = bits >= math.Float32bits(float32(math.Inf(1)))
		}
	})
	for _, b := range bad {
		if b {
			return false
		}
	}
	return true
}
