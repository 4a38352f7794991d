package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var expConstants = []string{"ExpLow", "ExpHigh", "Log2E", "Magic", "Ln2", "Ln2Rest", "Exp2", "Exp3", "Exp4", "Exp5", "Exp6", "One"}

// reduceArgument splits x into n·ln(2) + r. It returns n plus Magic, as a
// float whose low bits are n, and r. x is overwritten with r.
func (f *fn) reduceArgument(x reg.VecVirtual) (n reg.VecVirtual) {
	n = f.kcopy("Magic")
	build.VFMADD231PS(f.k("Log2E"), x, n)
	m := f.vec()
	build.VSUBPS(f.k("Magic"), n, m)
	build.VFNMADD231PS(f.k("Ln2"), m, x)
	build.VFNMADD231PS(f.k("Ln2Rest"), m, x)
	return n
}

// expMinus1 is exp(r)-1 for small r.
func (f *fn) expMinus1(r reg.VecVirtual) reg.VecVirtual {
	p := f.kcopy("Exp6")
	for _, c := range []string{"Exp5", "Exp4", "Exp3", "Exp2"} {
		build.VFMADD213PS(f.k(c), r, p)
	}
	square := f.vec()
	build.VMULPS(r, r, square)
	build.VFMADD213PS(r, square, p)
	return p
}

// exp is exp(x): 0 below ExpLow, that of ExpHigh above it, NaN for
// NaN. x stays.
func (f *fn) exp(x reg.VecVirtual) reg.VecVirtual {
	capped, r := f.vec(), f.vec()
	build.VMINPS(x, f.kreg("ExpHigh"), capped)
	build.VMAXPS(capped, f.kreg("ExpLow"), r)
	n := f.reduceArgument(r)
	p := f.expMinus1(r)
	build.VADDPS(f.k("One"), p, p)
	build.VPSLLD(operand.U8(23), n, n)
	build.VPADDD(n, p, p)
	f.keepUnlessBelow(p, capped, "ExpLow")
	return p
}

// keepUnlessBelow zeroes the lanes of p where x, which it may overwrite, is
// below the bound.
func (f *fn) keepUnlessBelow(p, x reg.VecVirtual, bound string) {
	const notLess = 21 // or unordered, quiet
	if f.lanes == 16 {
		k := build.K()
		build.VCMPPS(operand.U8(notLess), f.k(bound), x, k)
		build.VMOVAPS_Z(p, k, p)
		return
	}
	build.VCMPPS(operand.U8(notLess), f.k(bound), x, x)
	build.VANDPS(x, p, p)
}

func (w writer) exponentials() {
	w.reduce("expSum", "is the sum of exp(x-shift)", []string{"x"}, []string{"shift"}, expConstants, 1, "Zero", build.VADDPS, "float32",
		func(f *fn, acc reg.VecVirtual) {
			x := f.load("x")
			build.VSUBPS(f.scalar["shift"], x, x)
			build.VADDPS(f.exp(x), acc, acc)
		})
	w.each("expTo", "computes y = exp(x-shift)*scale", []string{"y", "x"}, []string{"shift", "scale"}, expConstants, func(f *fn) {
		x := f.load("x")
		build.VSUBPS(f.scalar["shift"], x, x)
		p := f.exp(x)
		build.VMULPS(f.scalar["scale"], p, p)
		f.store(p, "y")
	})
	w.each("klGrad", "computes dq = (exp(q-lq) - exp(p-lp))*scale", []string{"dq", "p", "q"}, []string{"lp", "lq", "scale"}, expConstants, func(f *fn) {
		p, q := f.load("p"), f.load("q")
		build.VSUBPS(f.scalar["lp"], p, p)
		build.VSUBPS(f.scalar["lq"], q, q)
		ep, eq := f.exp(p), f.exp(q)
		build.VSUBPS(ep, eq, eq)
		build.VMULPS(f.scalar["scale"], eq, eq)
		f.store(eq, "dq")
	})
	w.klSums()
}

// klSums writes the function with three sums.
func (w writer) klSums() {
	f := w.begin("klSums", "stores the sums of exp(p-mp), of exp(q-mq) and of exp(p-mp)*(p-q) in out[0:3]",
		[]string{"out", "p", "q"}, []string{"mp", "mq"}, expConstants, "")
	var acc [3][]reg.VecVirtual
	for i := range acc {
		for range f.parts() {
			acc[i] = append(acc[i], f.zero())
		}
	}
	f.loop("loop", 1, func(int) {
		p, q := f.load("p"), f.load("q")
		diff := f.vec()
		build.VSUBPS(q, p, diff)
		build.VSUBPS(f.scalar["mp"], p, p)
		build.VSUBPS(f.scalar["mq"], q, q)
		ep := f.exp(p)
		build.VADDPS(ep, acc[0][f.part], acc[0][f.part])
		build.VFMADD231PS(diff, ep, acc[2][f.part])
		build.VADDPS(f.exp(q), acc[1][f.part], acc[1][f.part])
	})
	for i := range acc {
		x := f.fold(build.VADDPS, acc[i])
		build.VMOVSS(x, operand.Mem{Base: f.ptr["out"], Disp: 4 * i})
	}
	build.VZEROUPPER()
	build.RET()
}
