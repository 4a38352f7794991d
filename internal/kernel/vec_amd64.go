package kernel

import (
	"math"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

//go:generate go -C vecasm run . -out ../vec_amd64.s -stubs ../vec_stubs_amd64.go -dispatch ../vec_blocks_amd64.go -pkg kernel

// simd is a set of vector primitives.
type simd int

const (
	plainGo simd = iota
	avx2         // with FMA
	avx512       // F, DQ, BW and VL
)

func (s simd) String() string { return [...]string{"go", "avx2", "avx512"}[s] }

// level is the set that this process uses. AVX2 and AVX-512 give the same
// bytes; plain Go differs from them in the last bits.
var level = detect()

func detect() simd {
	switch {
	case cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512DQ, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX2, cpuid.FMA3):
		return avx512
	case cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3):
		return avx2
	default:
		return plainGo
	}
}

// tail is a last, incomplete block of a row, filled up.
type tail [lanes]float32

// pad copies x and fills up with v.
func (t *tail) pad(x []float32, v float32) *float32 {
	for i := copy(t[:], x); i < lanes; i++ {
		t[i] = v
	}
	return &t[0]
}

func ptr(x []float32) *float32 { return unsafe.SliceData(x) }

func addTo(y, x []float32) {
	if x = x[:len(y)]; level == plainGo {
		addToGo(y, x)
		return
	}
	n := len(y) &^ (lanes - 1)
	addTo16(ptr(y), ptr(x), n)
	if n < len(y) {
		var a, b tail
		addTo16(a.pad(y[n:], 0), b.pad(x[n:], 0), lanes)
		copy(y[n:], a[:])
	}
}

func add(y, a, b []float32) {
	if a, b = a[:len(y)], b[:len(y)]; level == plainGo {
		addGo(y, a, b)
		return
	}
	n := len(y) &^ (lanes - 1)
	add16(ptr(y), ptr(a), ptr(b), n)
	if n < len(y) {
		var s, t tail
		add16(&s[0], s.pad(a[n:], 0), t.pad(b[n:], 0), lanes)
		copy(y[n:], s[:])
	}
}

func mul(y, a, b []float32) {
	if a, b = a[:len(y)], b[:len(y)]; level == plainGo {
		mulGo(y, a, b)
		return
	}
	n := len(y) &^ (lanes - 1)
	mul16(ptr(y), ptr(a), ptr(b), n)
	if n < len(y) {
		var s, t tail
		mul16(&s[0], s.pad(a[n:], 0), t.pad(b[n:], 0), lanes)
		copy(y[n:], s[:])
	}
}

func mulAdd(y, a, b []float32) {
	if a, b = a[:len(y)], b[:len(y)]; level == plainGo {
		mulAddGo(y, a, b)
		return
	}
	n := len(y) &^ (lanes - 1)
	mulAdd16(ptr(y), ptr(a), ptr(b), n)
	if n < len(y) {
		var r, s, t tail
		mulAdd16(r.pad(y[n:], 0), s.pad(a[n:], 0), t.pad(b[n:], 0), lanes)
		copy(y[n:], r[:])
	}
}

func scale(y []float32, s float32) {
	if level == plainGo {
		scaleGo(y, s)
		return
	}
	n := len(y) &^ (lanes - 1)
	scale16(ptr(y), n, s)
	if n < len(y) {
		var t tail
		scale16(t.pad(y[n:], 0), lanes, s)
		copy(y[n:], t[:])
	}
}

func axpy(y []float32, a float32, x []float32) {
	if x = x[:len(y)]; level == plainGo {
		axpyGo(y, a, x)
		return
	}
	n := len(y) &^ (lanes - 1)
	axpy16(ptr(y), ptr(x), n, a)
	if n < len(y) {
		var s, t tail
		axpy16(s.pad(y[n:], 0), t.pad(x[n:], 0), lanes, a)
		copy(y[n:], s[:])
	}
}

// The sums below take the incomplete last block apart and add it last.

func sum(x []float32) float32 {
	if level == plainGo {
		return sumGo(x)
	}
	n := len(x) &^ (lanes - 1)
	s := sum16(ptr(x), n)
	if n < len(x) {
		var t tail
		s += sum16(t.pad(x[n:], 0), lanes)
	}
	return s
}

func dot(a, b []float32) float32 {
	if b = b[:len(a)]; level == plainGo {
		return dotGo(a, b)
	}
	n := len(a) &^ (lanes - 1)
	d := dot16(ptr(a), ptr(b), n)
	if n < len(a) {
		var s, t tail
		d += dot16(s.pad(a[n:], 0), t.pad(b[n:], 0), lanes)
	}
	return d
}

func sumSquares(x []float32) float64 {
	if level == plainGo {
		return sumSquaresGo(x)
	}
	n := len(x) &^ (lanes - 1)
	s := sumSquares16(ptr(x), n)
	if n < len(x) {
		var t tail
		s += sumSquares16(t.pad(x[n:], 0), lanes)
	}
	return s
}

func sumSqDev(x []float32, mean float32) float32 {
	if level == plainGo {
		return sumSqDevGo(x, mean)
	}
	n := len(x) &^ (lanes - 1)
	s := sumSqDev16(ptr(x), n, mean)
	if n < len(x) {
		var t tail
		s += sumSqDev16(t.pad(x[n:], mean), lanes, mean)
	}
	return s
}

func maxAbsBits(x []float32) uint32 {
	if level == plainGo {
		return maxAbsBitsGo(x)
	}
	n := len(x) &^ (lanes - 1)
	m := maxAbsBits16(ptr(x), n)
	if n < len(x) {
		var t tail
		m = max(m, maxAbsBits16(t.pad(x[n:], 0), lanes))
	}
	return m
}

func maxOf(x []float32) float32 {
	if level == plainGo {
		return maxOfGo(x)
	}
	n := len(x) &^ (lanes - 1)
	m := maxOf16(ptr(x), n)
	if n < len(x) {
		var t tail
		m = max(m, maxOf16(t.pad(x[n:], float32(math.Inf(-1))), lanes))
	}
	return m
}

// farBelow is a logit whose exponential is 0 beside any other, and which,
// unlike -Inf, can be subtracted from itself.
const farBelow = -1e30

func expSum(x []float32, shift float32) float64 {
	if level == plainGo {
		return expSumGo(x, shift)
	}
	n := len(x) &^ (lanes - 1)
	s := float64(expSum16(ptr(x), n, shift))
	if n < len(x) {
		var t tail
		s += float64(expSum16(t.pad(x[n:], float32(math.Inf(-1))), lanes, shift))
	}
	return s
}

func expTo(y, x []float32, shift, scale float32) {
	if x = x[:len(y)]; level == plainGo {
		expToGo(y, x, shift, scale)
		return
	}
	n := len(y) &^ (lanes - 1)
	expTo16(ptr(y), ptr(x), n, shift, scale)
	if n < len(y) {
		var t tail
		expTo16(&t[0], t.pad(x[n:], shift), lanes, shift, scale)
		copy(y[n:], t[:])
	}
}

func klSums(p, q []float32, mp, mq float32) (sp, sq, spd float64) {
	if q = q[:len(p)]; level == plainGo {
		return klSumsGo(p, q, mp, mq)
	}
	var out [3]float32
	n := len(p) &^ (lanes - 1)
	klSums16(&out[0], ptr(p), ptr(q), n, mp, mq)
	sp, sq, spd = float64(out[0]), float64(out[1]), float64(out[2])
	if n < len(p) {
		var s, t tail
		klSums16(&out[0], s.pad(p[n:], farBelow), t.pad(q[n:], farBelow), lanes, mp, mq)
		sp, sq, spd = sp+float64(out[0]), sq+float64(out[1]), spd+float64(out[2])
	}
	return sp, sq, spd
}

func klGrad(dq, p, q []float32, lp, lq, scale float32) {
	if p, q = p[:len(dq)], q[:len(dq)]; level == plainGo {
		klGradGo(dq, p, q, lp, lq, scale)
		return
	}
	n := len(dq) &^ (lanes - 1)
	klGrad16(ptr(dq), ptr(p), ptr(q), n, lp, lq, scale)
	if n < len(dq) {
		var s, t tail
		klGrad16(&s[0], s.pad(p[n:], lp), t.pad(q[n:], lq), lanes, lp, lq, scale)
		copy(dq[n:], s[:])
	}
}

func normApply(y, x, gain, bias []float32, mean, rstd float32) {
	if x, gain = x[:len(y)], gain[:len(y)]; level == plainGo {
		normApplyGo(y, x, gain, bias, mean, rstd)
		return
	}
	n := len(y) &^ (lanes - 1)
	var s, t, u tail
	if bias == nil {
		normApply16(ptr(y), ptr(x), ptr(gain), n, mean, rstd)
		if n < len(y) {
			normApply16(&s[0], s.pad(x[n:], 0), t.pad(gain[n:], 0), lanes, mean, rstd)
		}
	} else {
		bias = bias[:len(y)]
		normBiasApply16(ptr(y), ptr(x), ptr(gain), ptr(bias), n, mean, rstd)
		if n < len(y) {
			normBiasApply16(&s[0], s.pad(x[n:], 0), t.pad(gain[n:], 0), u.pad(bias[n:], 0), lanes, mean, rstd)
		}
	}
	copy(y[n:], s[:])
}

func normGradSums(x, gain, dy []float32, mean, rstd float32) (s, sx float32) {
	if gain, dy = gain[:len(x)], dy[:len(x)]; level == plainGo {
		return normGradSumsGo(x, gain, dy, mean, rstd)
	}
	n := len(x) &^ (lanes - 1)
	s = dot(gain, dy)
	sx = normGradSum16(ptr(x), ptr(gain), ptr(dy), n, mean, rstd)
	if n < len(x) {
		var a, b, c tail
		sx += normGradSum16(a.pad(x[n:], mean), b.pad(gain[n:], 0), c.pad(dy[n:], 0), lanes, mean, rstd)
	}
	return s, sx
}

func normGradApply(dx, x, gain, dy []float32, mean, rstd, c, cx float32) {
	if x, gain, dy = x[:len(dx)], gain[:len(dx)], dy[:len(dx)]; level == plainGo {
		normGradApplyGo(dx, x, gain, dy, mean, rstd, c, cx)
		return
	}
	n := len(dx) &^ (lanes - 1)
	normGradApply16(ptr(dx), ptr(x), ptr(gain), ptr(dy), n, mean, rstd, c, cx)
	if n < len(dx) {
		var s, t, u tail
		normGradApply16(&s[0], s.pad(x[n:], 0), t.pad(gain[n:], 0), u.pad(dy[n:], 0), lanes, mean, rstd, c, cx)
		copy(dx[n:], s[:])
	}
}

func normParam(dgain, x, dy, stats []float32, stride int) {
	k, rows := len(dgain), len(stats)/2
	if level == plainGo || rows == 0 || k == 0 {
		normParamGo(dgain, x, dy, stats, stride)
		return
	}
	last := (rows-1)*stride + k - 1
	_, _ = x[last], dy[last]
	n := k &^ (lanes - 1)
	if level == avx512 {
		normParamAVX512(ptr(dgain), ptr(x), ptr(dy), ptr(stats), stride, rows, n)
	} else {
		normParamAVX2(ptr(dgain), ptr(x), ptr(dy), ptr(stats), stride, rows, n)
	}
	if n < k {
		normParamGo(dgain[n:], x[n:], dy[n:], stats, stride)
	}
}

func rotate(y1, y2, x1, x2, cos, sin []float32) {
	if level == plainGo {
		rotateGo(y1, y2, x1, x2, cos, sin)
		return
	}
	k := len(cos)
	y1, y2, x1, x2, sin = y1[:k], y2[:k], x1[:k], x2[:k], sin[:k]
	n := k &^ (lanes - 1)
	rotate16(ptr(y1), ptr(y2), ptr(x1), ptr(x2), ptr(cos), ptr(sin), n)
	if n < k {
		var a, b, c, s tail
		rotate16(&a[0], &b[0], a.pad(x1[n:], 0), b.pad(x2[n:], 0), c.pad(cos[n:], 0), s.pad(sin[n:], 0), lanes)
		copy(y1[n:], a[:])
		copy(y2[n:], b[:])
	}
}

func combine(y, a []float32, as int, b []float32, bs, k int, acc bool) {
	if level == plainGo || k == 0 || len(y) == 0 {
		combineGo(y, a, as, b, bs, k, acc)
		return
	}
	_, _ = a[(k-1)*as], b[(k-1)*bs+len(y)-1]
	n := len(y) &^ (lanes - 1)
	if level == avx512 {
		combineAVX512(ptr(y), ptr(a), as, ptr(b), bs, k, n, acc)
	} else {
		combineAVX2(ptr(y), ptr(a), as, ptr(b), bs, k, n, acc)
	}
	if n < len(y) {
		combineGo(y[n:], a, as, b[n:], bs, k, acc)
	}
}

// transpose moves blocks of eight rows by eight columns at a time, the rest
// one by one.
func transpose(y []float32, ys int, x []float32, xs, rows, cols int) {
	const side = 8
	if level == plainGo || rows == 0 {
		transposeGo(y, ys, x, xs, rows, cols)
		return
	}
	_, _ = y[(cols-1)*ys+rows-1], x[(rows-1)*xs+cols-1]
	whole := cols &^ (side - 1)
	r := 0
	for ; r+side <= rows; r += side {
		transpose8AVX2(&y[r], ys, &x[r*xs], xs, whole)
		if whole < cols {
			transposeGo(y[whole*ys+r:], ys, x[r*xs+whole:], xs, side, cols-whole)
		}
	}
	if r < rows {
		transposeGo(y[r:], ys, x[r*xs:], xs, rows-r, cols)
	}
}
