package kernel

import (
	"fmt"
	"math"
)

// Activation names an element-wise function.
type Activation int

// The activations, by the names transformers gives them.
const (
	GELUTanh Activation = iota // gelu_new: x/2·(1+tanh(√(2/π)(x+0.044715x³)))
	GELU                       // gelu: x·Φ(x) by the error function
	SiLU                       // silu, swish: x/(1+exp(-x))
	ReLU                       // relu: max(x, 0)
	Tanh                       // tanh
)

// The constants of GELUTanh, written for x·σ(2z), z = geluA·(x + geluB·x³),
// which is the same function.
const (
	geluA = 0.79788456080286535588 // √(2/π)
	geluB = 0.044715
)

// String is the name of the activation.
func (a Activation) String() string {
	names := [...]string{"gelu_new", "gelu", "silu", "relu", "tanh"}
	if a < 0 || int(a) >= len(names) {
		return fmt.Sprintf("activation(%d)", int(a))
	}
	return names[a]
}

// check panics for a value that names no activation.
func (a Activation) check() {
	if a < GELUTanh || a > Tanh {
		panic(fmt.Sprintf("kernel: no such activation: %d", int(a)))
	}
}

// actGrain is the least number of elements worth a thread.
const actGrain = 1 << 11

// Activate computes y = f(x). Both [n]; y may be x.
func (e *Engine) Activate(kind Activation, y, x []float32) {
	kind.check()
	e.forCuts(len(y), actGrain, func(lo, hi int) { activate(kind, y[lo:hi], x[lo:hi]) })
}

// ActivateGrad computes dx = f'(x)*dy. All [n]; dx may be x or dy.
func (e *Engine) ActivateGrad(kind Activation, dx, x, dy []float32) {
	kind.check()
	e.forCuts(len(dx), actGrain, func(lo, hi int) { activateGrad(kind, dx[lo:hi], x[lo:hi], dy[lo:hi]) })
}

// GatedSiLU computes y = silu(g)*u. All [n]; y may be g or u.
func (e *Engine) GatedSiLU(y, g, u []float32) {
	e.forCuts(len(y), actGrain, func(lo, hi int) { gatedSiLU(y[lo:hi], g[lo:hi], u[lo:hi]) })
}

// GatedSiLUGrad computes the gradients of GatedSiLU: dg = dy*u*silu'(g) and
// du = dy*silu(g). All [n]; outputs may be inputs of the same index.
func (e *Engine) GatedSiLUGrad(dg, du, g, u, dy []float32) {
	e.forCuts(len(dg), actGrain, func(lo, hi int) {
		gatedSiLUGrad(dg[lo:hi], du[lo:hi], g[lo:hi], u[lo:hi], dy[lo:hi])
	})
}

// SoftCap computes y = limit·tanh(x/limit). Both [n]; y may be x.
func (e *Engine) SoftCap(y, x []float32, limit float32) {
	e.forCuts(len(y), actGrain, func(lo, hi int) { softCap(y[lo:hi], x[lo:hi], limit) })
}

// SoftCapGrad computes dx = (1 - (y/limit)²)·dy, where y is what SoftCap gave.
// All [n]; dx may be y or dy.
func (e *Engine) SoftCapGrad(dx, y, dy []float32, limit float32) {
	e.forCuts(len(dx), actGrain, func(lo, hi int) { softCapGrad(dx[lo:hi], y[lo:hi], dy[lo:hi], limit) })
}

func softCap(y, x []float32, limit float32) {
	copy(y, x)
	scale(y, 1/limit)
	activate(Tanh, y, y)
	scale(y, limit)
}

func softCapGrad(dx, y, dy []float32, limit float32) {
	for i, v := range y[:len(dx)] {
		t := v / limit
		dx[i] = dy[i] * float32(1-float64(t)*float64(t))
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func activateGo(kind Activation, y, x []float32) {
	for i, v := range x {
		y[i] = float32(activation(kind, float64(v)))
	}
}

func activateGradGo(kind Activation, dx, x, dy []float32) {
	for i, v := range x {
		dx[i] = float32(activationSlope(kind, float64(v)) * float64(dy[i]))
	}
}

// activation is f(x).
func activation(kind Activation, x float64) float64 {
	switch kind {
	case GELUTanh:
		return x * sigmoid(2*geluA*(x+geluB*x*x*x))
	case GELU:
		return 0.5 * x * (1 + math.Erf(x/math.Sqrt2))
	case SiLU:
		return x * sigmoid(x)
	case ReLU:
		if x <= 0 {
			return 0
		}
		return x
	default:
		return math.Tanh(x)
	}
}

// activationSlope is f'(x).
func activationSlope(kind Activation, x float64) float64 {
	switch kind {
	case GELUTanh:
		s := sigmoid(2 * geluA * (x + geluB*x*x*x))
		return s + x*s*(1-s)*2*geluA*(1+3*geluB*x*x)
	case GELU:
		return 0.5*(1+math.Erf(x/math.Sqrt2)) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	case SiLU:
		s := sigmoid(x)
		return s * (1 + x*(1-s))
	case ReLU:
		if x <= 0 {
			return 0
		}
		return 1
	default:
		t := math.Tanh(x)
		return 1 - t*t
	}
}

func gatedSiLUGo(y, g, u []float32) {
	for i, v := range g {
		y[i] = float32(activation(SiLU, float64(v)) * float64(u[i]))
	}
}

func gatedSiLUGradGo(dg, du, g, u, dy []float32) {
	for i, v := range g {
		d, f, slope := float64(dy[i]), activation(SiLU, float64(v)), activationSlope(SiLU, float64(v))
		dg[i] = float32(d * float64(u[i]) * slope)
		du[i] = float32(d * f)
	}
}
