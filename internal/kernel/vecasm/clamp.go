package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// affine is (q+bias)*gain + shift, each step rounded, and q+bias.
func (s isa) affine(q, bias, gain, shift operand.Op) (y, sum reg.VecVirtual) {
	y, sum = s.vec(), s.vec()
	build.VMOVUPS(q, sum)
	build.VADDPS(bias, sum, sum)
	build.VMULPS(gain, sum, y)
	build.VADDPS(shift, y, y)
	return y, sum
}

// keepAbove is g where x is at least floor, else 0; x is overwritten.
func (s isa) keepAbove(x, floor reg.VecVirtual, g operand.Op) reg.VecVirtual {
	const atLeast = 29 // and ordered, quiet
	v := s.vec()
	if s.lanes == 16 {
		k := build.K()
		build.VCMPPS(operand.U8(atLeast), floor, x, k)
		build.VMOVUPS_Z(g, k, v)
		return v
	}
	build.VCMPPS(operand.U8(atLeast), floor, x, x)
	build.VANDPS(g, x, v)
	return v
}

// clamps writes the element-wise part of a layer that clamps from below.
func (w writer) clamps() {
	w.each("clamp", "computes y = max((q+bias)*gain + shift, floor)", []string{"y", "q", "bias", "gain", "shift"}, []string{"floor"}, nil, func(f *fn) {
		v, _ := f.affine(f.at("q"), f.at("bias"), f.at("gain"), f.at("shift"))
		build.VMAXPS(v, f.scalar["floor"], v) // the second source, v, where it is NaN
		f.store(v, "y")
	})
	w.each("clampGrad", "computes dq = dy*gain where (q+bias)*gain + shift >= floor, else 0", []string{"dq", "dy", "q", "bias", "gain", "shift"}, []string{"floor"}, nil, func(f *fn) {
		v, _ := f.affine(f.at("q"), f.at("bias"), f.at("gain"), f.at("shift"))
		v = f.keepAbove(v, f.scalar["floor"], f.at("dy"))
		build.VMULPS(f.at("gain"), v, v)
		f.store(v, "dq")
	})
	for _, c := range []struct {
		name, what string
		weighted   bool
	}{
		{"clampShiftSums", "dy", false},
		{"clampGainSums", "dy*(q+bias)", true},
	} {
		build.TEXT(c.name+w.name, build.NOSPLIT, "func(out, dy, q, bias, gain, shift *float32, stride, rows, n int, floor float32)")
		build.Doc(c.name+w.name+" computes out += Σ_r "+c.what+" where (q+bias)*gain + shift >= floor, over rows, at least 1,",
			"of dy and q that are stride apart. n, the length of out, is a multiple of 16.")
		build.Pragma("noescape")
		floorAt, err := build.Param("floor").Resolve()
		if err != nil {
			panic(err)
		}
		floor := w.vec()
		build.VBROADCASTSS(floorAt.Addr, floor)
		step := stride("stride")
		sumOverRows{
			writer: w, y: argument("out"), rows: argument("rows"), n: argument("n"), sizes: []int{4, 1},
			pointers: []rowPointer{
				{argument("dy"), step, true}, {argument("q"), step, true},
				{argument("bias"), nil, true}, {argument("gain"), nil, true}, {argument("shift"), nil, true},
			},
			row: func(at []reg.GPVirtual, sums []reg.VecVirtual) {
				for i, v := range sums {
					m := func(p int) operand.Mem { return operand.Mem{Base: at[p], Disp: i * 4 * w.lanes} }
					y, sum := w.affine(m(1), m(2), m(3), m(4))
					g := w.keepAbove(y, floor, m(0))
					if c.weighted {
						build.VMULPS(sum, g, g)
					}
					build.VADDPS(g, v, v)
				}
			},
		}.write()
	}
}
