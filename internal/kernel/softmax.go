package kernel

import "math"

// Softmax computes y = exp(x)/Σexp(x) for each row. y, x: [rows, cols]; y may
// be x.
func (e *Engine) Softmax(y, x []float32, rows, cols int) {
	e.For(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row := y[r*cols : (r+1)*cols]
			expTo(row, x[r*cols:(r+1)*cols], maxOf(x[r*cols:(r+1)*cols]), 1)
			scale(row, 1/blockedSum(row))
		}
	})
}

// LogSum64 is the log of Σ exp(x[i]) in float64, added up from the first on, and the
// first index of the greatest element; −1 where no element is a number above −Inf.
func LogSum64(x []float32) (best int32, log float64) {
	top := math.Inf(-1)
	best = -1
	for i, v := range x {
		if float64(v) > top {
			best, top = int32(i), float64(v)
		}
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return best, top + math.Log(sum)
}

// LogSumExp computes out[i] = log Σ_j exp(x[i, j]). out: [rows]; x:
// [rows, cols].
func (e *Engine) LogSumExp(out []float32, x []float32, rows, cols int) {
	e.For(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			out[r] = logSumExp(x[r*cols : (r+1)*cols])
		}
	})
}

// ArgMax sets out[i], [rows], to the index of the first greatest element of
// row i of x, [rows, cols]. NaNs are passed over; a row of nothing else gives
// 0.
func (e *Engine) ArgMax(out []int32, x []float32, rows, cols int) {
	e.For(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			out[r] = int32(argMax(x[r*cols : (r+1)*cols]))
		}
	})
}

// argMax first finds the block with the greatest element, so that only one
// block is searched element by element.
func argMax(x []float32) int {
	m, from, to := float32(math.Inf(-1)), 0, len(x)
	for lo := 0; lo < len(x); lo += expBlock {
		hi := min(lo+expBlock, len(x))
		if v := maxOf(x[lo:hi]); v > m {
			m, from, to = v, lo, hi
		}
	}
	for j, v := range x[from:to] {
		if v == m {
			return from + j
		}
	}
	return 0
}

// blockedSum adds up x in float32 within a block and in float64 across blocks.
func blockedSum(x []float32) float32 {
	total := 0.0
	for len(x) > expBlock {
		total += float64(sum(x[:expBlock]))
		x = x[expBlock:]
	}
	return float32(total + float64(sum(x)))
}

// logSumExp is log Σ exp(x), -Inf for a row of -Inf.
func logSumExp(x []float32) float32 {
	m := maxOf(x)
	if math.IsInf(float64(m), -1) && !hasNaN(x) {
		return m
	}
	return float32(float64(m) + math.Log(blockedExpSum(x, m)))
}

// hasNaN is asked only of rows whose greatest element is -Inf.
func hasNaN(x []float32) bool {
	for _, v := range x {
		if v != v {
			return true
		}
	}
	return false
}

// blockedExpSum is Σ exp(x-shift), in float32 within a block, float64 across.
func blockedExpSum(x []float32, shift float32) float64 {
	total := 0.0
	for len(x) > expBlock {
		total += expSum(x[:expBlock], shift)
		x = x[expBlock:]
	}
	return total + expSum(x, shift)
}
