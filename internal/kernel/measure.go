package kernel

import (
	"math"
	"time"
)

// measureFor is how long a measurement repeats what it measures.
const measureFor = 200 * time.Millisecond

// MeasureGemm is the speed of the product [m, n] = [m, k]·[k, n] on this
// engine, in GFLOP/s (10⁹ multiplications and additions a second): the best of
// the repetitions of some 0.2 s. With transB, B is stored [n, k]. Shapes with
// a side below 1 give 0.
func (e *Engine) MeasureGemm(m, k, n int, transB bool) (gflops float64) {
	if m < 1 || k < 1 || n < 1 {
		return 0
	}
	p := Product{A: Mat(ramp(m*k), m, k), B: Mat(ramp(k*n), k, n), TransB: transB}
	if transB {
		p.B.Rows, p.B.Cols, p.B.Stride = n, k, k
	}
	c := Mat(make([]float32, m*n), m, n)
	best := fastest(func() { e.Gemm(c, p) })
	return 2 * float64(m) * float64(n) * float64(k) / best.Seconds() / 1e9
}

// MeasureBandwidth is the speed in bytes a second at which the engine's
// threads together read memory that no cache holds, 256 MiB in one pass.
func (e *Engine) MeasureBandwidth() (bytesPerSecond float64) {
	const n, piece = 1 << 26, 1 << 14
	x := ramp(n)
	sums := make([]float32, n/piece)
	best := fastest(func() {
		e.For(len(sums), 1, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				part := x[i*piece : (i+1)*piece]
				sums[i] = e.Dot(part, part)
			}
		})
	})
	return 4 * n / best.Seconds()
}

// fastest is the shortest time that f took.
func fastest(f func()) time.Duration {
	f()
	best := time.Duration(math.MaxInt64)
	for start := time.Now(); time.Since(start) < measureFor; {
		t := time.Now()
		f()
		best = min(best, max(time.Since(t), 1))
	}
	return best
}

// ramp is n small numbers, no two neighbours the same.
func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%31-15) / 16
	}
	return x
}
