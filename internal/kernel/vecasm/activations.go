package main

import (
	"slices"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sigmoidOf gives s = 1/(1+exp(u)), the logistic function of -u, and exp(u).
// 1-s is exp(u)·s, without cancellation.
func (f *fn) sigmoidOf(u reg.VecVirtual) (s, e reg.VecVirtual) {
	e, s = f.exp(u), f.vec()
	build.VADDPS(f.k("One"), e, s)
	build.VDIVPS(s, f.kreg("One"), s)
	return s, e
}

// sigmoid gives 1/(1+exp(-x)) and exp(-x).
func (f *fn) sigmoid(x reg.VecVirtual) (s, e reg.VecVirtual) {
	u := f.vec()
	build.VXORPS(f.k("Sign"), x, u)
	return f.sigmoidOf(u)
}

// siluSlope is s·(1+x·(1-s)), s being the sigmoid of x and e being exp(-x).
func (f *fn) siluSlope(x, s, e reg.VecVirtual) reg.VecVirtual {
	t := f.vec()
	build.VMULPS(s, e, t)
	build.VFMADD213PS(f.k("One"), x, t)
	build.VMULPS(s, t, t)
	return t
}

// geluTanhSigmoid is the sigmoid that GELUTanh multiplies x with, and the
// exponential in it.
func (f *fn) geluTanhSigmoid(x reg.VecVirtual) (s, e reg.VecVirtual) {
	u := f.vec()
	build.VMULPS(x, x, u)
	c := f.kcopy("GeluCubic")
	build.VFMADD213PS(f.k("GeluLinear"), c, u)
	build.VMULPS(x, u, u)
	return f.sigmoidOf(u)
}

// normal gives the distribution function Φ(x) of the normal distribution and
// exp(-x²/2).
func (f *fn) normal(x reg.VecVirtual) (phi, e reg.VecVirtual) {
	u := f.vec()
	build.VMULPS(x, x, u)
	build.VMULPS(f.k("MinusHalf"), u, u)
	e = f.exp(u)
	t := f.vec()
	build.VANDPS(f.k("Magnitude"), x, t)
	build.VMULPS(f.k("ErfScale"), t, t)
	build.VADDPS(f.k("One"), t, t)
	build.VDIVPS(t, f.kreg("One"), t)
	phi = f.kcopy("Erf8")
	for _, c := range []string{"Erf7", "Erf6", "Erf5", "Erf4", "Erf3", "Erf2", "Erf1", "Erf0"} {
		build.VFMADD213PS(f.k(c), t, phi)
	}
	build.VMULPS(e, phi, phi) // erfc(|x|/√2)/2, now turned into the part over 1/2
	build.VSUBPS(phi, f.kreg("Half"), phi)
	sign := f.vec()
	build.VANDPS(f.k("Sign"), x, sign)
	build.VORPS(sign, phi, phi)
	build.VADDPS(f.k("Half"), phi, phi)
	return phi, e
}

// tanh is (1-exp(-2|x|))/(1+exp(-2|x|)) with the sign of x.
func (f *fn) tanh(x reg.VecVirtual) reg.VecVirtual {
	u := f.vec()
	build.VANDPS(f.k("Magnitude"), x, u)
	build.VMULPS(f.k("MinusTwo"), u, u)
	build.VMAXPS(u, f.kreg("ExpLow"), u)
	n := f.reduceArgument(u)
	p := f.expMinus1(u)
	build.VPSLLD(operand.U8(23), n, n)
	build.VPADDD(f.k("One"), n, n) // 2ⁿ
	d := f.vec()
	build.VSUBPS(f.k("One"), n, d)
	build.VFMADD213PS(d, n, p) // exp(-2|x|)-1 = 2ⁿ·p + (2ⁿ-1)
	build.VADDPS(f.k("Two"), p, d)
	build.VDIVPS(d, p, p)
	build.VANDPS(f.k("Magnitude"), p, p)
	build.VANDPS(f.k("Sign"), x, d)
	build.VORPS(d, p, p)
	return p
}

func (w writer) activations() {
	with := func(names ...string) []string { return slices.Concat(expConstants, names) }
	gelu := with("GeluLinear", "GeluCubic")
	geluSlope := with("GeluLinear", "GeluCubic", "GeluSlope", "GeluSlopeSquare", "GeluLow", "GeluHigh")
	normal := with("MinusHalf", "Magnitude", "Sign", "Half", "ErfScale", "Erf0", "Erf1", "Erf2", "Erf3", "Erf4")
	yx, grad := []string{"y", "x"}, []string{"dx", "x", "dy"}

	w.each("gatedSiLU", "computes y = silu(gate)*u", []string{"y", "gate", "u"}, nil, with("Sign"), func(f *fn) {
		g := f.load("gate")
		s, _ := f.sigmoid(g)
		build.VMULPS(g, s, s)
		build.VMULPS(f.at("u"), s, s)
		f.store(s, "y")
	})
	w.each("gatedSiLUGrad", "computes dg = dy*u*silu'(gate) and du = dy*silu(gate)", []string{"dg", "du", "gate", "u", "dy"}, nil, with("Sign"), func(f *fn) {
		g := f.load("gate")
		s, e := f.sigmoid(g)
		t := f.siluSlope(g, s, e)
		d := f.load("dy")
		build.VMULPS(g, s, s)
		build.VMULPS(d, s, s)
		build.VMULPS(f.at("u"), d, d)
		build.VMULPS(d, t, t)
		f.store(t, "dg")
		f.store(s, "du")
	})
	w.each("silu", "computes y = x/(1+exp(-x))", yx, nil, with("Sign"), func(f *fn) {
		x := f.load("x")
		s, _ := f.sigmoid(x)
		build.VMULPS(x, s, s)
		f.store(s, "y")
	})
	w.each("siluGrad", "computes dx = dy*silu'(x)", grad, nil, with("Sign"), func(f *fn) {
		x := f.load("x")
		s, e := f.sigmoid(x)
		t := f.siluSlope(x, s, e)
		build.VMULPS(f.at("dy"), t, t)
		f.store(t, "dx")
	})
	w.each("geluTanh", "computes y = gelu_new(x)", yx, nil, gelu, func(f *fn) {
		x := f.load("x")
		s, _ := f.geluTanhSigmoid(x)
		build.VMULPS(x, s, s)
		f.store(s, "y")
	})
	w.each("geluTanhGrad", "computes dx = dy*gelu_new'(x)", grad, nil, geluSlope, func(f *fn) {
		x := f.load("x")
		build.VMAXPS(x, f.kreg("GeluLow"), x)
		build.VMINPS(x, f.kreg("GeluHigh"), x)
		s, e := f.geluTanhSigmoid(x)
		t, rise := f.vec(), f.kcopy("GeluSlopeSquare")
		build.VMULPS(x, x, t)
		build.VFMADD213PS(f.k("GeluSlope"), t, rise) // derivative of twice tanh's argument
		build.VMULPS(s, e, t)
		build.VMULPS(s, t, t)
		build.VMULPS(x, t, t)
		build.VFMADD231PS(rise, t, s)
		build.VMULPS(f.at("dy"), s, s)
		f.store(s, "dx")
	})
	w.each("gelu", "computes y = x*Φ(x)", yx, nil, normal, func(f *fn) {
		x := f.load("x")
		phi, _ := f.normal(x)
		build.VMULPS(x, phi, phi)
		f.store(phi, "y")
	})
	w.each("geluGrad", "computes dx = dy*(Φ(x)+x*φ(x))", grad, nil, normal, func(f *fn) {
		x := f.load("x")
		phi, e := f.normal(x)
		build.VMULPS(f.k("Density"), e, e)
		build.VFMADD231PS(x, e, phi)
		build.VMULPS(f.at("dy"), phi, phi)
		f.store(phi, "dx")
	})
	tanh := with("Magnitude", "MinusTwo", "Two", "Sign")
	w.each("tanh", "computes y = tanh(x)", yx, nil, tanh, func(f *fn) {
		f.store(f.tanh(f.load("x")), "y")
	})
	w.each("tanhGrad", "computes dx = dy*(1-tanh(x)²)", grad, nil, tanh, func(f *fn) {
		t := f.tanh(f.load("x"))
		build.VFNMADD213PS(f.k("One"), t, t)
		build.VMULPS(f.at("dy"), t, t)
		f.store(t, "dx")
	})
}
