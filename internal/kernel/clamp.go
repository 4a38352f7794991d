package kernel

// Affine is a row's bias, gain and shift, all [cols], and the value that the
// result is clamped to from below: max((q+Bias)*Gain + Shift, Floor), each step
// rounded. A Floor of -Inf clamps nothing.
type Affine struct {
	Bias, Gain, Shift []float32
	Floor             float32
}

// Clamp computes y = max((q+Bias)*Gain + Shift, Floor) of one row, [cols], on
// the calling thread. y may be q.
func (e *Engine) Clamp(y, q []float32, a Affine) { clamp(y, q, a) }

// ClampGrad computes dq from dy and the q that Clamp was given, all [cols], on
// the calling thread: dy*Gain where the clamp leaves its argument as it is,
// equality included, else 0.
func (e *Engine) ClampGrad(dq, dy, q []float32, a Affine) { clampGrad(dq, dy, q, a) }

// ClampShiftGrad adds the gradient of Shift to out, [cols]. dy, q: [rows, cols].
// Rows are added in ascending order.
func (e *Engine) ClampShiftGrad(out, dy, q []float32, rows, cols int, a Affine) {
	e.clampSums(clampShiftSums, out, dy, q, rows, cols, a)
}

// ClampGainGrad adds the gradient of Gain to out, [cols]. dy, q: [rows, cols].
// Rows are added in ascending order.
func (e *Engine) ClampGainGrad(out, dy, q []float32, rows, cols int, a Affine) {
	e.clampSums(clampGainSums, out, dy, q, rows, cols, a)
}

type clampSum func(out, dy, q []float32, stride, rows int, a Affine)

func (e *Engine) clampSums(sum clampSum, out, dy, q []float32, rows, cols int, a Affine) {
	if rows == 0 {
		return
	}
	e.forCuts(cols, rowGrain(rows), func(lo, hi int) {
		sum(out[lo:hi], dy[lo:], q[lo:], cols, rows, a.columns(lo, hi))
	})
}

// columns is a of columns [lo, hi).
func (a Affine) columns(lo, hi int) Affine {
	return Affine{Bias: a.Bias[lo:hi], Gain: a.Gain[lo:hi], Shift: a.Shift[lo:hi], Floor: a.Floor}
}
