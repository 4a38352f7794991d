package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tile emits the micro-kernel: a tile of C, rows by two registers, over one
// block of k. Each element has one accumulator that starts at zero and takes
// one fused multiply-add for each k in ascending order; the sum is then
// stored in C or added to it. That chain is the same for every number of rows
// and columns, which is what makes a result independent of its place.
func tile(s isa, table operand.Mem) {
	build.TEXT("tile"+s.name, build.NOSPLIT,
		"func(rows, cols, k int, a, b, c *float32, ldc int, add bool)")
	build.Doc("tile"+s.name+" computes a tile of C, rows by cols, from packed panels over k steps.",
		fmt.Sprintf("rows is 1 to %d, cols 1 to %d, k at least 1; a is packed [k][%d], b [k][%d]; ldc in elements.",
			s.rows, 2*s.lanes, s.lanes, 2*s.lanes))
	build.Pragma("noescape")
	rows := build.Load(build.Param("rows"), build.GP64())
	for r := s.rows; r >= 1; r-- {
		build.CMPQ(rows, operand.U8(r))
		build.JEQ(operand.LabelRef(fmt.Sprintf("rows%d", r)))
	}
	build.RET()
	for r := s.rows; r >= 1; r-- {
		build.Label(fmt.Sprintf("rows%d", r))
		tileRows(s, r, table)
	}
}

func tileRows(s isa, rows int, table operand.Mem) {
	label := func(name string) string { return fmt.Sprintf("rows%d%s", rows, name) }
	ref := func(name string) operand.LabelRef { return operand.LabelRef(label(name)) }
	last := len(s.vec) - 1
	acc := func(r, h int) reg.VecPhysical { return s.vec[2*r+h] }
	b0, b1 := s.vec[last], s.vec[last-1]
	bcast := []reg.VecPhysical{s.vec[last-2], s.vec[last-3]}

	k := build.Load(build.Param("k"), build.GP64())
	a := build.Load(build.Param("a"), build.GP64())
	b := build.Load(build.Param("b"), build.GP64())
	c := build.Load(build.Param("c"), build.GP64())
	ldc := build.Load(build.Param("ldc"), build.GP64())
	build.SHLQ(operand.U8(2), ldc)

	// The tile's lines of C are wanted at the end only; ask for them now.
	at := build.GP64()
	build.MOVQ(c, at)
	for r := range rows {
		build.PREFETCHT0(operand.Mem{Base: at})
		build.PREFETCHT0(operand.Mem{Base: at, Disp: 2*s.width() - 4})
		if r < rows-1 {
			build.ADDQ(ldc, at)
		}
	}
	for r := range rows {
		s.zero(acc(r, 0))
		s.zero(acc(r, 1))
	}
	step := func(i int) {
		build.VMOVUPS(operand.Mem{Base: b, Disp: 2 * i * s.width()}, b0)
		build.VMOVUPS(operand.Mem{Base: b, Disp: (2*i + 1) * s.width()}, b1)
		for r := range rows {
			x := bcast[r%2]
			build.VBROADCASTSS(operand.Mem{Base: a, Disp: i*s.width() + 4*r}, x)
			build.VFMADD231PS(x, b0, acc(r, 0))
			build.VFMADD231PS(x, b1, acc(r, 1))
		}
	}
	const unroll = 4
	build.SUBQ(operand.U8(unroll), k)
	build.JLT(ref("tail"))
	build.Label(label("loop"))
	for i := range unroll {
		step(i)
	}
	build.ADDQ(operand.U32(unroll*s.width()), a)
	build.ADDQ(operand.U32(2*unroll*s.width()), b)
	build.SUBQ(operand.U8(unroll), k)
	build.JGE(ref("loop"))
	build.Label(label("tail"))
	build.ADDQ(operand.U8(unroll), k)
	build.JEQ(ref("done"))
	build.Label(label("one"))
	step(0)
	build.ADDQ(operand.U32(s.width()), a)
	build.ADDQ(operand.U32(2*s.width()), b)
	build.DECQ(k)
	build.JNE(ref("one"))
	build.Label(label("done"))

	add := build.Load(build.Param("add"), build.GP8())
	cols := build.Load(build.Param("cols"), build.GP64()).(reg.GPVirtual)
	build.CMPQ(cols, operand.U8(2*s.lanes))
	build.JNE(ref("edge"))
	whole := func(r, h int) operand.Mem { return operand.Mem{Base: c, Disp: h * s.width()} }
	build.TESTB(add, add)
	build.JEQ(ref("store"))
	for r := range rows {
		for h := range 2 {
			build.VADDPS(whole(r, h), acc(r, h), acc(r, h))
			build.VMOVUPS(acc(r, h), whole(r, h))
		}
		build.ADDQ(ldc, c)
	}
	build.VZEROUPPER()
	build.RET()
	build.Label(label("store"))
	for r := range rows {
		for h := range 2 {
			build.VMOVUPS(acc(r, h), whole(r, h))
		}
		build.ADDQ(ldc, c)
	}
	build.VZEROUPPER()
	build.RET()

	// Fewer columns than a tile has: the same sums, masked loads and stores.
	build.Label(label("edge"))
	half := build.GP64()
	build.MOVQ(cols, half)
	m0 := mask{s, reg.K1, b0}
	m1 := mask{s, reg.K2, b1}
	lanes := build.GP64()
	build.MOVQ(operand.U32(uint32(s.lanes)), lanes)
	build.CMPQ(half, lanes)
	build.CMOVQGT(lanes, half)
	m0.set(half, table)
	build.SUBQ(half, cols)
	m1.set(cols, table)
	masks := []mask{m0, m1}
	tmp := bcast[0]
	build.TESTB(add, add)
	build.JEQ(ref("edgestore"))
	for r := range rows {
		for h := range 2 {
			masks[h].load(whole(r, h), tmp)
			build.VADDPS(tmp, acc(r, h), acc(r, h))
		}
		build.ADDQ(ldc, c)
	}
	build.Load(build.Param("c"), c)
	build.Label(label("edgestore"))
	for r := range rows {
		for h := range 2 {
			masks[h].store(acc(r, h), whole(r, h))
		}
		build.ADDQ(ldc, c)
	}
	build.VZEROUPPER()
	build.RET()
}
