package kernel

import (
	"math"
	"strconv"
	"time"
)

// Adam holds the settings of the optimiser of Kingma and Ba (2015,
// arXiv:1412.6980).
type Adam struct {
	LR    float32 // learning rate, over 0
	Beta1 float32 // decay of the mean, in [0, 1)
	Beta2 float32 // decay of the mean square, in [0, 1)
	Eps   float32 // added to the root of the mean square
}

// NewAdam has the decays and eps that Kingma and Ba propose: 0.9, 0.999, 1e-8.
func NewAdam(lr float64) Adam {
	return Adam{LR: float32(lr), Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
}

// adamConsts is what one step multiplies with; the assembly reads it by
// position.
type adamConsts struct {
	gscale, beta1, rest1, beta2, rest2, rootBC2, eps, stepSize float32
}

// AdamStep takes one step as torch.optim.Adam does (1.13, on a CPU, one tensor
// at a time), step for step in float32, and zeroes g. w, g, m, v: [n], the
// weights, their gradient, and the two moments. step counts from 1. gscale
// multiplies the gradient first, as clipping does.
func (e *Engine) AdamStep(w, g, m, v []float32, a Adam, step int, gscale float32) {
	start := time.Now()
	beta1, beta2 := decimal(a.Beta1), decimal(a.Beta2)
	c := adamConsts{
		gscale: gscale,
		beta1:  float32(beta1), rest1: float32(1 - beta1),
		beta2: float32(beta2), rest2: float32(1 - beta2),
		rootBC2:  float32(math.Sqrt(1 - math.Pow(beta2, float64(step)))),
		eps:      a.Eps,
		stepSize: float32(decimal(a.LR) / (1 - math.Pow(beta1, float64(step)))),
	}
	e.forCuts(len(w), taskFloat, func(lo, hi int) { adam(w[lo:hi], g[lo:hi], m[lo:hi], v[lo:hi], &c) })
	e.work.adam.Add(int64(time.Since(start)))
}

// decimal is the float64 nearest to the decimal number that x was written as:
// 0.999 and not 0.99900001287. The reference takes 1-beta in double precision.
func decimal(x float32) float64 {
	d, err := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64)
	if err != nil { // no float32 is written so that it cannot be read
		return float64(x)
	}
	return d
}

// adamGo rounds every product to float32 by conversion, which forbids a fused
// multiply-add, so it agrees with the assembly bit for bit.
func adamGo(w, g, m, v []float32, c *adamConsts) {
	for i := range w {
		d := float32(g[i] * c.gscale)
		mi := float32(m[i]*c.beta1) + float32(c.rest1*d)
		vi := float32(v[i]*c.beta2) + float32(float32(c.rest2*d)*d)
		denom := float32(math.Sqrt(float64(vi)))/c.rootBC2 + c.eps
		m[i], v[i], g[i] = mi, vi, 0
		w[i] -= float32(c.stepSize*mi) / denom
	}
}
