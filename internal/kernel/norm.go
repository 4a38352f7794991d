package kernel

import "math"

// rowStats gives the mean of a row (0 for RMSNorm, which does not centre) and
// the reciprocal of its standard deviation, or of its root mean square.
func rowStats(x []float32, eps float32, centre bool) (mean, rstd float32) {
	n := float32(len(x))
	if centre {
		mean = sum(x) / n
	}
	variance := sumSqDev(x, mean) / n
	return mean, 1 / float32(math.Sqrt(float64(variance+eps)))
}

// LayerNorm computes y = (x-mean)/√(variance+eps)·gain + bias for each row.
// y, x: [rows, cols]; gain, bias: [cols]; bias may be nil; y may be x.
// The variance is the biased one, as in torch.nn.LayerNorm.
func (e *Engine) LayerNorm(y, x, gain, bias []float32, eps float32, rows, cols int) {
	e.norm(y, x, gain, bias, eps, rows, cols, true)
}

// LayerNormGrad computes dx, [rows, cols], from dy, [rows, cols], and the x
// that LayerNorm was given. dx may be dy or x.
func (e *Engine) LayerNormGrad(dx, x, gain, dy []float32, eps float32, rows, cols int) {
	e.normGrad(dx, x, gain, dy, eps, rows, cols, true)
}

// LayerNormParamGrad adds the gradients of gain and bias to dgain and dbias,
// [cols]; dbias may be nil. x, dy: [rows, cols]. Rows are added in ascending
// order.
func (e *Engine) LayerNormParamGrad(dgain, dbias, x, dy []float32, eps float32, rows, cols int) {
	e.normParamGrad(dgain, x, dy, eps, rows, cols, true)
	if dbias != nil {
		e.ColumnSums(dbias, dy, rows, cols)
	}
}

// RMSNorm computes y = x/√(mean(x²)+eps)·gain for each row, as in
// transformers' LlamaRMSNorm. y, x: [rows, cols]; gain: [cols]; y may be x.
func (e *Engine) RMSNorm(y, x, gain []float32, eps float32, rows, cols int) {
	e.norm(y, x, gain, nil, eps, rows, cols, false)
}

// RMSNormGrad computes dx, [rows, cols], from dy, [rows, cols], and the x that
// RMSNorm was given. dx may be dy or x.
func (e *Engine) RMSNormGrad(dx, x, gain, dy []float32, eps float32, rows, cols int) {
	e.normGrad(dx, x, gain, dy, eps, rows, cols, false)
}

// RMSNormParamGrad adds the gradient of gain to dgain, [cols]. x, dy:
// [rows, cols]. Rows are added in ascending order.
func (e *Engine) RMSNormParamGrad(dgain, x, dy []float32, eps float32, rows, cols int) {
	e.normParamGrad(dgain, x, dy, eps, rows, cols, false)
}

func (e *Engine) norm(y, x, gain, bias []float32, eps float32, rows, cols int, centre bool) {
	e.For(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row := x[r*cols : (r+1)*cols]
			mean, rstd := rowStats(row, eps, centre)
			normApply(y[r*cols:(r+1)*cols], row, gain, bias, mean, rstd)
		}
	})
}

func (e *Engine) normGrad(dx, x, gain, dy []float32, eps float32, rows, cols int, centre bool) {
	e.For(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row, drow := x[r*cols:(r+1)*cols], dy[r*cols:(r+1)*cols]
			mean, rstd := rowStats(row, eps, centre)
			s, sx := normGradSums(row, gain, drow, mean, rstd)
			c := float32(0)
			if centre {
				c = s / float32(cols)
			}
			normGradApply(dx[r*cols:(r+1)*cols], row, gain, drow, mean, rstd, c, sx/float32(cols))
		}
	})
}

// normParamGrad first finds each row's statistics, spread over rows, then adds
// the rows up, spread over columns, so that the order of the sum is fixed.
func (e *Engine) normParamGrad(dgain, x, dy []float32, eps float32, rows, cols int, centre bool) {
	stats := make([]float32, 2*rows)
	e.For(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			stats[2*r], stats[2*r+1] = rowStats(x[r*cols:(r+1)*cols], eps, centre)
		}
	})
	e.forCuts(cols, rowGrain(rows), func(lo, hi int) {
		normParam(dgain[lo:hi], x[min(lo, len(x)):], dy[min(lo, len(dy)):], stats, cols)
	})
}
