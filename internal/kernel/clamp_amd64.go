package kernel

// pads fills up the columns of a from n on.
func (a Affine) pads(n int, bias, gain, shift *tail) (b, g, s *float32) {
	return bias.pad(a.Bias[n:], 0), gain.pad(a.Gain[n:], 0), shift.pad(a.Shift[n:], 0)
}

func clamp(y, q []float32, a Affine) {
	k := len(y)
	if q, a = q[:k], a.columns(0, k); level == plainGo {
		clampGo(y, q, a)
		return
	}
	n := k &^ (lanes - 1)
	clamp16(ptr(y), ptr(q), ptr(a.Bias), ptr(a.Gain), ptr(a.Shift), n, a.Floor)
	if n < k {
		var t, bias, gain, shift tail
		b, g, s := a.pads(n, &bias, &gain, &shift)
		clamp16(&t[0], t.pad(q[n:], 0), b, g, s, lanes, a.Floor)
		copy(y[n:], t[:])
	}
}

func clampGrad(dq, dy, q []float32, a Affine) {
	k := len(dq)
	if dy, q, a = dy[:k], q[:k], a.columns(0, k); level == plainGo {
		clampGradGo(dq, dy, q, a)
		return
	}
	n := k &^ (lanes - 1)
	clampGrad16(ptr(dq), ptr(dy), ptr(q), ptr(a.Bias), ptr(a.Gain), ptr(a.Shift), n, a.Floor)
	if n < k {
		var t, u, bias, gain, shift tail
		b, g, s := a.pads(n, &bias, &gain, &shift)
		clampGrad16(&t[0], t.pad(dy[n:], 0), u.pad(q[n:], 0), b, g, s, lanes, a.Floor)
		copy(dq[n:], t[:])
	}
}

func clampShiftSums(out, dy, q []float32, stride, rows int, a Affine) {
	n := a.whole(out, dy, q, stride, rows)
	if n > 0 && level == avx512 {
		clampShiftSumsAVX512(ptr(out), ptr(dy), ptr(q), ptr(a.Bias), ptr(a.Gain), ptr(a.Shift), stride, rows, n, a.Floor)
	} else if n > 0 {
		clampShiftSumsAVX2(ptr(out), ptr(dy), ptr(q), ptr(a.Bias), ptr(a.Gain), ptr(a.Shift), stride, rows, n, a.Floor)
	}
	if n < len(out) {
		clampShiftSumsGo(out[n:], dy[n:], q[n:], stride, rows, a.columns(n, len(out)))
	}
}

func clampGainSums(out, dy, q []float32, stride, rows int, a Affine) {
	n := a.whole(out, dy, q, stride, rows)
	if n > 0 && level == avx512 {
		clampGainSumsAVX512(ptr(out), ptr(dy), ptr(q), ptr(a.Bias), ptr(a.Gain), ptr(a.Shift), stride, rows, n, a.Floor)
	} else if n > 0 {
		clampGainSumsAVX2(ptr(out), ptr(dy), ptr(q), ptr(a.Bias), ptr(a.Gain), ptr(a.Shift), stride, rows, n, a.Floor)
	}
	if n < len(out) {
		clampGainSumsGo(out[n:], dy[n:], q[n:], stride, rows, a.columns(n, len(out)))
	}
}

// whole is how many columns of the sums the assembly takes. It panics where a
// slice is too short for them.
func (a Affine) whole(out, dy, q []float32, stride, rows int) int {
	n := len(out) &^ (lanes - 1)
	if level == plainGo || rows == 0 || n == 0 {
		return 0
	}
	last := (rows-1)*stride + n - 1
	_, _, _ = dy[last], q[last], a.columns(0, n)
	return n
}
