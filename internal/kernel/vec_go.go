package kernel

import "math"

// The functions below are the plain Go forms of the vector primitives. They
// are what a machine without AVX2 runs, and what the assembly is tested
// against. Sums go through float64; each float32 product that is added is
// rounded first where the assembly does so too.

func addToGo(y, x []float32) {
	for i, v := range x {
		y[i] += v
	}
}

func addGo(y, a, b []float32) {
	for i, v := range a {
		y[i] = v + b[i]
	}
}

func mulGo(y, a, b []float32) {
	for i, v := range a {
		y[i] = v * b[i]
	}
}

func mulAddGo(y, a, b []float32) {
	for i, v := range a {
		y[i] += v * b[i]
	}
}

func scaleGo(y []float32, s float32) {
	for i := range y {
		y[i] *= s
	}
}

func axpyGo(y []float32, a float32, x []float32) {
	for i, v := range x {
		y[i] += a * v
	}
}

func sumGo(x []float32) float32 {
	s := 0.0
	for _, v := range x {
		s += float64(v)
	}
	return float32(s)
}

func dotGo(a, b []float32) float32 {
	s := 0.0
	for i, v := range a {
		s += float64(v) * float64(b[i])
	}
	return float32(s)
}

func sumSquaresGo(x []float32) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

// sumSqDevGo is the sum of (x-mean)².
func sumSqDevGo(x []float32, mean float32) float32 {
	s := 0.0
	for _, v := range x {
		d := float64(v - mean)
		s += d * d
	}
	return float32(s)
}

// maxAbsBitsGo is the greatest bit pattern of |x|; 0 for an empty x.
func maxAbsBitsGo(x []float32) uint32 {
	m := uint32(0)
	for _, v := range x {
		m = max(m, math.Float32bits(v)&^(1<<31))
	}
	return m
}

// maxOfGo is the greatest element; -Inf for an empty x; NaNs are passed over.
func maxOfGo(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

func exp32(x float32) float32 { return float32(math.Exp(float64(x))) }

// expSumGo is the sum of exp(x-shift).
func expSumGo(x []float32, shift float32) float64 {
	s := 0.0
	for _, v := range x {
		s += math.Exp(float64(v - shift))
	}
	return s
}

// expToGo computes y = exp(x-shift)*scale.
func expToGo(y, x []float32, shift, scale float32) {
	for i, v := range x {
		y[i] = exp32(v-shift) * scale
	}
}

// klSumsGo gives the sums of exp(p-mp), of exp(q-mq) and of exp(p-mp)*(p-q).
func klSumsGo(p, q []float32, mp, mq float32) (sp, sq, spd float64) {
	for i, v := range p {
		ep := math.Exp(float64(v - mp))
		sp += ep
		sq += math.Exp(float64(q[i] - mq))
		spd += ep * (float64(v) - float64(q[i]))
	}
	return sp, sq, spd
}

// klGradGo computes dq = (exp(q-lq) - exp(p-lp))*scale.
func klGradGo(dq, p, q []float32, lp, lq, scale float32) {
	for i, v := range p {
		dq[i] = (exp32(q[i]-lq) - exp32(v-lp)) * scale
	}
}

// normApplyGo computes y = (x-mean)*rstd*gain + bias; bias may be nil.
func normApplyGo(y, x, gain, bias []float32, mean, rstd float32) {
	if bias == nil {
		for i, v := range x {
			y[i] = (v - mean) * rstd * gain[i]
		}
		return
	}
	for i, v := range x {
		y[i] = (v-mean)*rstd*gain[i] + bias[i]
	}
}

// normGradSumsGo gives the sums over gain*dy and over gain*dy*(x-mean)*rstd.
func normGradSumsGo(x, gain, dy []float32, mean, rstd float32) (s, sx float32) {
	var a, b float64
	for i, v := range x {
		g := gain[i] * dy[i]
		a += float64(g)
		b += float64(g) * float64((v-mean)*rstd)
	}
	return float32(a), float32(b)
}

// normGradApplyGo computes dx = rstd*(gain*dy - c - (x-mean)*rstd*cx).
func normGradApplyGo(dx, x, gain, dy []float32, mean, rstd, c, cx float32) {
	for i, v := range x {
		dx[i] = rstd * (gain[i]*dy[i] - c - (v-mean)*rstd*cx)
	}
}

// normParamGo computes dgain += Σ_r dy*(x-mean)*rstd, the rows of x and dy
// being stride apart and stats holding each row's mean and rstd.
func normParamGo(dgain, x, dy, stats []float32, stride int) {
	for r := range len(stats) / 2 {
		mean, rstd := stats[2*r], stats[2*r+1]
		xr, dr := x[r*stride:], dy[r*stride:]
		for i := range dgain {
			dgain[i] += dr[i] * ((xr[i] - mean) * rstd)
		}
	}
}

// rotateGo turns the pairs (x1[i], x2[i]) by the angles given as cos and sin.
func rotateGo(y1, y2, x1, x2, cos, sin []float32) {
	for i, c := range cos {
		a, b, s := x1[i], x2[i], sin[i]
		y1[i] = a*c - b*s
		y2[i] = b*c + a*s
	}
}

// combineGo computes y = Σ_i a[i*as]*b[i*bs:], a linear combination of k rows
// of b, or y += that when acc is set.
func combineGo(y, a []float32, as int, b []float32, bs, k int, acc bool) {
	if !acc {
		clear(y)
	}
	for i := range k {
		c := a[i*as]
		for j, v := range b[i*bs : i*bs+len(y)] {
			y[j] += c * v
		}
	}
}

// transposeGo writes x, [rows, cols] with the given stride, to y as
// [cols, rows] with stride ys.
func transposeGo(y []float32, ys int, x []float32, xs, rows, cols int) {
	for r := range rows {
		for c, v := range x[r*xs : r*xs+cols] {
			y[c*ys+r] = v
		}
	}
}
