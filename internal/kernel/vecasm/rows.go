package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func (w writer) arithmetic() {
	yx, yab := []string{"y", "x"}, []string{"y", "a", "b"}
	w.each("addTo", "computes y += x", yx, nil, nil, func(f *fn) {
		v := f.load("y")
		build.VADDPS(f.at("x"), v, v)
		f.store(v, "y")
	})
	w.each("add", "computes y = a + b", yab, nil, nil, func(f *fn) {
		v := f.load("a")
		build.VADDPS(f.at("b"), v, v)
		f.store(v, "y")
	})
	w.each("mul", "computes y = a * b", yab, nil, nil, func(f *fn) {
		v := f.load("a")
		build.VMULPS(f.at("b"), v, v)
		f.store(v, "y")
	})
	w.each("mulAdd", "computes y += a * b", yab, nil, nil, func(f *fn) {
		v, a := f.load("y"), f.load("a")
		build.VFMADD231PS(f.at("b"), a, v)
		f.store(v, "y")
	})
	w.each("scale", "computes y *= s", []string{"y"}, []string{"s"}, nil, func(f *fn) {
		v := f.vec()
		build.VMULPS(f.at("y"), f.scalar["s"], v)
		f.store(v, "y")
	})
	w.each("axpy", "computes y += a * x", yx, []string{"a"}, nil, func(f *fn) {
		v := f.load("y")
		build.VFMADD231PS(f.at("x"), f.scalar["a"], v)
		f.store(v, "y")
	})
	w.each("rotate", "turns the pairs (x1, x2) by the angles given as cos and sin", []string{"y1", "y2", "x1", "x2", "cos", "sin"}, nil, nil, func(f *fn) {
		a, b, c, s := f.load("x1"), f.load("x2"), f.load("cos"), f.load("sin")
		t := f.vec()
		build.VMULPS(b, s, t)
		build.VMULPS(a, s, s)
		build.VMULPS(a, c, a)
		build.VMULPS(b, c, b)
		build.VSUBPS(t, a, a)
		build.VADDPS(s, b, b)
		f.store(a, "y1")
		f.store(b, "y2")
	})
}

func (w writer) sums() {
	x := []string{"x"}
	w.reduce("sum", "is the sum of x", x, nil, nil, 4, "Zero", build.VADDPS, "float32", func(f *fn, acc reg.VecVirtual) {
		build.VADDPS(f.at("x"), acc, acc)
	})
	w.reduce("dot", "is the inner product of a and b", []string{"a", "b"}, nil, nil, 4, "Zero", build.VADDPS, "float32", func(f *fn, acc reg.VecVirtual) {
		a := f.load("a")
		build.VFMADD231PS(f.at("b"), a, acc)
	})
	w.reduce("sumSqDev", "is the sum of (x-mean)²", x, []string{"mean"}, nil, 4, "Zero", build.VADDPS, "float32", func(f *fn, acc reg.VecVirtual) {
		d := f.load("x")
		build.VSUBPS(f.scalar["mean"], d, d)
		build.VFMADD231PS(d, d, acc)
	})
	w.reduce("maxOf", "is the greatest element of x; NaNs are passed over", x, nil, nil, 4, "MinusInf", build.VMAXPS, "float32", func(f *fn, acc reg.VecVirtual) {
		v := f.load("x")
		build.VMAXPS(acc, v, acc)
	})
	w.reduce("maxAbsBits", "is the greatest bit pattern of |x|", x, nil, []string{"Magnitude"}, 4, "Zero", build.VPMAXUD, "uint32", func(f *fn, acc reg.VecVirtual) {
		v := f.load("x")
		build.VANDPS(f.k("Magnitude"), v, v)
		build.VPMAXUD(v, acc, acc)
	})
	w.sumSquares()
}

// sumSquares writes the one sum in float64: a block is two AVX-512 registers
// of float64, or four AVX2 registers, each with its accumulator.
func (w writer) sumSquares() {
	f := w.begin("sumSquares", "is the sum of the squares of x in float64", []string{"x"}, nil, nil, " float64")
	width := 4 * f.lanes // bytes of a register, and twice the bytes it is converted from
	acc := make([]reg.VecVirtual, 2*f.parts())
	for i := range acc {
		acc[i] = f.zero()
	}
	f.loop("loop", 1, func(int) {
		for half := range 2 {
			m := f.at("x")
			m.Disp += half * width / 2
			d, a := f.vec(), acc[2*f.part+half]
			build.VCVTPS2PD(m, d)
			build.VFMADD231PD(d, d, a)
		}
	})
	// Lanes 0-3, 4-7, 8-11 and 12-15 of the block, then ((0+2)+(1+3)).
	var y reg.Register
	if f.lanes == 16 {
		build.VADDPD(acc[1], acc[0], acc[0])
		hi := build.YMM()
		build.VEXTRACTF64X4(operand.U8(1), acc[0], hi)
		lo := acc[0].AsY()
		build.VADDPD(hi, lo, hi)
		y = hi
	} else {
		build.VADDPD(acc[2], acc[0], acc[0])
		build.VADDPD(acc[3], acc[1], acc[1])
		build.VADDPD(acc[1], acc[0], acc[0])
		y = acc[0]
	}
	x, t := build.XMM(), build.XMM()
	build.VEXTRACTF128(operand.U8(1), y, x)
	lo := y.(reg.Vec).AsX()
	build.VADDPD(x, lo, x)
	build.VPERMILPD(operand.U8(1), x, t)
	build.VADDPD(t, x, x)
	build.Store(x, build.ReturnIndex(0))
	build.VZEROUPPER()
	build.RET()
}

// standardised is (x-mean)*rstd.
func (f *fn) standardised() reg.VecVirtual {
	v := f.load("x")
	build.VSUBPS(f.scalar["mean"], v, v)
	build.VMULPS(f.scalar["rstd"], v, v)
	return v
}

func (w writer) norms() {
	stats := []string{"mean", "rstd"}
	w.each("normApply", "computes y = (x-mean)*rstd*gain", []string{"y", "x", "gain"}, stats, nil, func(f *fn) {
		v := f.standardised()
		build.VMULPS(f.at("gain"), v, v)
		f.store(v, "y")
	})
	w.each("normBiasApply", "computes y = (x-mean)*rstd*gain + bias", []string{"y", "x", "gain", "bias"}, stats, nil, func(f *fn) {
		v, g := f.standardised(), f.load("gain")
		build.VFMADD213PS(f.at("bias"), g, v)
		f.store(v, "y")
	})
	w.each("normGradApply", "computes dx = rstd*(gain*dy - c - (x-mean)*rstd*cx)", []string{"dx", "x", "gain", "dy"}, []string{"mean", "rstd", "c", "cx"}, nil, func(f *fn) {
		v, g := f.standardised(), f.load("gain")
		build.VMULPS(f.at("dy"), g, g)
		build.VSUBPS(f.scalar["c"], g, g)
		build.VFNMADD231PS(f.scalar["cx"], v, g)
		build.VMULPS(f.scalar["rstd"], g, g)
		f.store(g, "dx")
	})
	w.reduce("normGradSum", "is the sum of gain*dy*(x-mean)*rstd", []string{"x", "gain", "dy"}, stats, nil, 2, "Zero", build.VADDPS, "float32", func(f *fn, acc reg.VecVirtual) {
		v, g := f.standardised(), f.load("gain")
		build.VMULPS(f.at("dy"), g, g)
		build.VFMADD231PS(v, g, acc)
	})
}

// adam rounds every product: the reference does not fuse.
func (w writer) adam() {
	f := w.begin("adam", "takes a step of Adam with the eight numbers at c, in the order of adamConsts", []string{"w", "grad", "m", "v", "c"}, nil, nil, "")
	names := []string{"gscale", "beta1", "rest1", "beta2", "rest2", "rootBC2", "eps", "stepSize"}
	for i, name := range names {
		f.scalar[name] = f.vec()
		build.VBROADCASTSS(operand.Mem{Base: f.ptr["c"], Disp: 4 * i}, f.scalar[name])
	}
	zero := f.zero()
	f.loop("loop", 1, func(int) {
		d, m, v := f.vec(), f.vec(), f.vec()
		build.VMULPS(f.at("grad"), f.scalar["gscale"], d)
		f.store(zero, "grad")
		build.VMULPS(f.at("m"), f.scalar["beta1"], m)
		build.VMULPS(f.at("v"), f.scalar["beta2"], v)
		t := f.vec()
		build.VMULPS(f.scalar["rest1"], d, t)
		build.VADDPS(t, m, m)
		build.VMULPS(f.scalar["rest2"], d, t)
		build.VMULPS(d, t, t)
		build.VADDPS(t, v, v)
		f.store(m, "m")
		f.store(v, "v")
		build.VSQRTPS(v, v)
		build.VDIVPS(f.scalar["rootBC2"], v, v)
		build.VADDPS(f.scalar["eps"], v, v)
		build.VMULPS(f.scalar["stepSize"], m, m)
		build.VDIVPS(v, m, m)
		w := f.load("w")
		build.VSUBPS(m, w, w)
		f.store(w, "w")
	})
	build.VZEROUPPER()
	build.RET()
}

// sumOverRows is a function that sums over rows. It takes the columns in tiles
// of registers; each element takes its rows in ascending order, from zero.
type sumOverRows struct {
	writer
	y, rows, n reg.Register
	sizes      []int        // of tiles, in blocks, descending
	add        reg.Register // if 0, the sums are stored in y, else added; nil: added
	pointers   []rowPointer
	row        func(at []reg.GPVirtual, sums []reg.VecVirtual) // adds one row to the sums of a tile
}

// rowPointer goes down the rows, once for each tile.
type rowPointer struct {
	top     reg.GPVirtual
	stride  operand.Op // bytes from row to row; nil: it stays
	columns bool       // it moves on by a tile's width, else it starts anew
}

func (s sumOverRows) write() {
	for _, blocks := range s.sizes {
		label := func(name string) string { return fmt.Sprintf("%s%d", name, blocks) }
		ref := func(name string) operand.LabelRef { return operand.LabelRef(label(name)) }
		step := operand.U32(uint32(blocks * block))
		build.Label(label("tile"))
		build.CMPQ(s.n, operand.U8(16*blocks))
		build.JLT(ref("end"))
		sums := make([]reg.VecVirtual, blocks*s.parts())
		for i := range sums {
			sums[i] = s.zero()
		}
		at, left := make([]reg.GPVirtual, len(s.pointers)), build.GP64()
		for i, p := range s.pointers {
			at[i] = p.top
			if p.stride != nil {
				at[i] = build.GP64()
				build.MOVQ(p.top, at[i])
			}
		}
		build.MOVQ(s.rows, left)
		build.Label(label("row"))
		s.row(at, sums)
		for i, p := range s.pointers {
			if p.stride != nil {
				build.ADDQ(p.stride, at[i])
			}
		}
		build.DECQ(left)
		build.JNZ(ref("row"))
		if s.add != nil {
			build.TESTB(s.add, s.add)
			build.JZ(ref("store"))
		}
		for i, v := range sums {
			build.VADDPS(operand.Mem{Base: s.y, Disp: i * 4 * s.lanes}, v, v)
		}
		if s.add != nil {
			build.Label(label("store"))
		}
		for i, v := range sums {
			build.VMOVUPS(v, operand.Mem{Base: s.y, Disp: i * 4 * s.lanes})
		}
		build.ADDQ(step, s.y)
		for _, p := range s.pointers {
			if p.columns {
				build.ADDQ(step, p.top)
			}
		}
		build.SUBQ(operand.U8(16*blocks), s.n)
		build.JMP(ref("tile"))
		build.Label(label("end"))
	}
	build.VZEROUPPER()
	build.RET()
}

// argument loads a pointer or an int.
func argument(name string) reg.GPVirtual {
	r := build.GP64()
	build.Load(build.Param(name), r)
	return r
}

// stride loads a number of elements and makes it one of bytes.
func stride(name string) reg.GPVirtual {
	r := argument(name)
	build.SHLQ(operand.U8(2), r)
	return r
}

func (w writer) rowSums() {
	build.TEXT("combine"+w.name, build.NOSPLIT, "func(y, a *float32, as int, b *float32, bs, k, n int, acc bool)")
	build.Doc("combine"+w.name+" computes y = Σ_i a[i*as]*b[i*bs:], or y += that, over k rows, k at least 1.",
		"n, the length of y, is a multiple of 16; as and bs are in elements.")
	build.Pragma("noescape")
	add := build.GP8()
	build.Load(build.Param("acc"), add)
	sumOverRows{
		writer: w, y: argument("y"), rows: argument("k"), n: argument("n"), sizes: []int{4, 2, 1}, add: add,
		pointers: []rowPointer{{argument("a"), stride("as"), false}, {argument("b"), stride("bs"), true}},
		row: func(at []reg.GPVirtual, sums []reg.VecVirtual) {
			c := w.vec()
			build.VBROADCASTSS(operand.Mem{Base: at[0]}, c)
			for i, v := range sums {
				build.VFMADD231PS(operand.Mem{Base: at[1], Disp: i * 4 * w.lanes}, c, v)
			}
		},
	}.write()

	build.TEXT("normParam"+w.name, build.NOSPLIT, "func(dgain, x, dy, stats *float32, xs, rows, n int)")
	build.Doc("normParam"+w.name+" computes dgain += Σ_r dy*(x-mean)*rstd over rows, at least 1, that are xs apart.",
		"stats holds each row's mean and rstd; n, the length of dgain, is a multiple of 16.")
	build.Pragma("noescape")
	xs := stride("xs")
	sumOverRows{
		writer: w, y: argument("dgain"), rows: argument("rows"), n: argument("n"), sizes: []int{4, 1},
		pointers: []rowPointer{{argument("x"), xs, true}, {argument("dy"), xs, true}, {argument("stats"), operand.U8(8), false}},
		row: func(at []reg.GPVirtual, sums []reg.VecVirtual) {
			mean, rstd := w.vec(), w.vec()
			build.VBROADCASTSS(operand.Mem{Base: at[2]}, mean)
			build.VBROADCASTSS(operand.Mem{Base: at[2], Disp: 4}, rstd)
			for i, v := range sums {
				x := w.vec()
				build.VMOVUPS(operand.Mem{Base: at[0], Disp: i * 4 * w.lanes}, x)
				build.VSUBPS(mean, x, x)
				build.VMULPS(rstd, x, x)
				build.VFMADD231PS(operand.Mem{Base: at[1], Disp: i * 4 * w.lanes}, x, v)
			}
		},
	}.write()
}

// transpose writes the function that turns eight rows into columns of eight.
// It needs only AVX.
func transpose() {
	build.TEXT("transpose8AVX2", build.NOSPLIT, "func(y *float32, ys int, x *float32, xs, n int)")
	build.Doc("transpose8AVX2 writes y[c*ys+r] = x[r*xs+c] for r < 8, c < n; n is a multiple of 8.")
	build.Pragma("noescape")
	y, ys, x, xs, n := argument("y"), stride("ys"), argument("x"), stride("xs"), argument("n")
	build.Label("loop")
	build.CMPQ(n, operand.U8(8))
	build.JLT(operand.LabelRef("end"))
	row := build.GP64()
	build.MOVQ(x, row)
	var r, t [8]reg.VecVirtual
	for i := range r {
		r[i] = build.YMM()
		build.VMOVUPS(operand.Mem{Base: row}, r[i])
		build.ADDQ(xs, row)
	}
	for i := 0; i < 8; i += 2 { // pairs of rows, element by element
		t[i], t[i+1] = build.YMM(), build.YMM()
		build.VUNPCKLPS(r[i+1], r[i], t[i])
		build.VUNPCKHPS(r[i+1], r[i], t[i+1])
	}
	for i := 0; i < 8; i += 4 { // fours of rows
		for h := range 2 {
			lo, hi := t[i+h], t[i+h+2]
			r[i+2*h], r[i+2*h+1] = build.YMM(), build.YMM()
			build.VSHUFPS(operand.U8(0b01_00_01_00), hi, lo, r[i+2*h])
			build.VSHUFPS(operand.U8(0b11_10_11_10), hi, lo, r[i+2*h+1])
		}
	}
	for _, half := range []uint8{0x20, 0x31} { // columns 0-3, then 4-7
		for c := range 4 {
			v := build.YMM()
			build.VPERM2F128(operand.U8(half), r[c+4], r[c], v)
			build.VMOVUPS(v, operand.Mem{Base: y})
			build.ADDQ(ys, y)
		}
	}
	build.ADDQ(operand.U8(32), x)
	build.SUBQ(operand.U8(8), n)
	build.JMP(operand.LabelRef("loop"))
	build.Label("end")
	build.VZEROUPPER()
	build.RET()
}
