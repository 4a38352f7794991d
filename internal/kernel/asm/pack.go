package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// packTrans emits the packing loop for a matrix whose rows run along k: it
// takes one register's worth of rows at a time, transposes square blocks in
// registers, and writes one register for each k.
func packTrans(s isa, table operand.Mem) {
	n := s.lanes
	build.TEXT("packTrans"+s.name, build.NOSPLIT,
		"func(dst *float32, stride int, src *float32, ld, rows, k int, ahead uintptr)")
	build.Doc(fmt.Sprintf("packTrans%s writes dst[p*stride+i] = src[i*ld+p] for i < %d, p < k.", s.name, n),
		fmt.Sprintf("Rows from rows (1 to %d) on repeat row 0: they fill lanes that no result uses.", n),
		"On the way it prefetches as much memory as it reads, from ahead on.")
	build.Pragma("noescape")
	ptr := build.AllocLocal(8 * n)
	dst := build.Load(build.Param("dst"), build.GP64())
	stride := build.Load(build.Param("stride"), build.GP64())
	src := build.Load(build.Param("src"), build.GP64())
	ld := build.Load(build.Param("ld"), build.GP64())
	rows := build.Load(build.Param("rows"), build.GP64())
	k := build.Load(build.Param("k"), build.GP64())
	build.SHLQ(operand.U8(2), ld)
	build.SHLQ(operand.U8(2), stride)

	at, use := build.GP64(), build.GP64()
	build.MOVQ(src, at)
	for i := range n {
		build.MOVQ(at, use)
		build.CMPQ(rows, operand.U8(i))
		build.CMOVQLE(src, use)
		build.MOVQ(use, ptr.Offset(8*i))
		build.ADDQ(ld, at)
	}
	ahead := build.Load(build.Param("ahead"), build.GP64())
	off := build.GP64()
	build.XORQ(off, off)
	row := func(i int) operand.Mem {
		r := build.GP64()
		build.MOVQ(ptr.Offset(8*i), r)
		return operand.Mem{Base: r, Index: off, Scale: 1}
	}
	build.SUBQ(operand.U8(n), k)
	build.JLT(operand.LabelRef("tail"))
	build.Label("loop")
	for i := range n {
		build.VMOVUPS(row(i), s.vec[i])
	}
	for i, v := range transpose(s) {
		build.VMOVUPS(v, operand.Mem{Base: dst})
		build.ADDQ(stride, dst)
		if 64*i < n*s.width() {
			build.PREFETCHT2(operand.Mem{Base: ahead, Disp: 64 * i})
		}
	}
	build.ADDQ(operand.U32(uint32(n*s.width())), ahead)
	build.ADDQ(operand.U8(s.width()), off)
	build.SUBQ(operand.U8(n), k)
	build.JGE(operand.LabelRef("loop"))
	build.Label("tail")
	build.ADDQ(operand.U8(n), k)
	build.JEQ(operand.LabelRef("done"))
	m := mask{s, reg.K1, s.vec[len(s.vec)-1]}
	m.set(k.(reg.GPVirtual), table)
	for i := range n {
		m.load(row(i), s.vec[i])
	}
	for _, v := range transpose(s) {
		build.VMOVUPS(v, operand.Mem{Base: dst})
		build.ADDQ(stride, dst)
		build.DECQ(k)
		build.JEQ(operand.LabelRef("done"))
	}
	build.Label("done")
	build.VZEROUPPER()
	build.RET()
}

// transpose emits the transposition of the square block in the first
// registers and returns the registers that hold its columns, in order.
// It leaves the last register alone where the block allows it.
func transpose(s isa) []reg.VecPhysical {
	n := s.lanes
	a, b := s.vec[:n], s.vec[n:]
	if n == 8 {
		return transpose8(a, b)
	}
	// Within 128-bit lanes: 4 by 4 blocks.
	for i := 0; i < n; i += 4 {
		build.VUNPCKLPS(a[i+1], a[i], b[i])
		build.VUNPCKHPS(a[i+1], a[i], b[i+1])
		build.VUNPCKLPS(a[i+3], a[i+2], b[i+2])
		build.VUNPCKHPS(a[i+3], a[i+2], b[i+3])
	}
	for i := 0; i < n; i += 4 {
		build.VUNPCKLPD(b[i+2], b[i], a[i])
		build.VUNPCKHPD(b[i+2], b[i], a[i+1])
		build.VUNPCKLPD(b[i+3], b[i+1], a[i+2])
		build.VUNPCKHPD(b[i+3], b[i+1], a[i+3])
	}
	// a[4q+j] now holds, in lane l, rows 4q to 4q+3 of column 4l+j. What is
	// left is a transposition of lanes over q, for each j.
	out := make([]reg.VecPhysical, n)
	for j := range 4 {
		build.VSHUFF32X4(operand.U8(0x44), a[4+j], a[j], b[j])      // lanes 0 1 of q=0, 1
		build.VSHUFF32X4(operand.U8(0xee), a[4+j], a[j], b[4+j])    // lanes 2 3
		build.VSHUFF32X4(operand.U8(0x44), a[12+j], a[8+j], b[8+j]) // of q=2, 3
		build.VSHUFF32X4(operand.U8(0xee), a[12+j], a[8+j], b[12+j])
	}
	for j := range 4 {
		build.VSHUFF32X4(operand.U8(0x88), b[8+j], b[j], a[j])
		build.VSHUFF32X4(operand.U8(0xdd), b[8+j], b[j], a[4+j])
		build.VSHUFF32X4(operand.U8(0x88), b[12+j], b[4+j], a[8+j])
		build.VSHUFF32X4(operand.U8(0xdd), b[12+j], b[4+j], a[12+j])
		for l := range 4 {
			out[4*l+j] = a[4*l+j]
		}
	}
	return out
}

// transpose8 is transpose for eight lanes. It needs all sixteen registers.
func transpose8(a, b []reg.VecPhysical) []reg.VecPhysical {
	for i := 0; i < 8; i += 4 {
		build.VUNPCKLPS(a[i+1], a[i], b[i])
		build.VUNPCKHPS(a[i+1], a[i], b[i+1])
		build.VUNPCKLPS(a[i+3], a[i+2], b[i+2])
		build.VUNPCKHPS(a[i+3], a[i+2], b[i+3])
	}
	for i := 0; i < 8; i += 4 {
		build.VUNPCKLPD(b[i+2], b[i], a[i])
		build.VUNPCKHPD(b[i+2], b[i], a[i+1])
		build.VUNPCKLPD(b[i+3], b[i+1], a[i+2])
		build.VUNPCKHPD(b[i+3], b[i+1], a[i+3])
	}
	out := make([]reg.VecPhysical, 8)
	for j := range 4 {
		build.VPERM2F128(operand.U8(0x20), a[4+j], a[j], b[j])
		build.VPERM2F128(operand.U8(0x31), a[4+j], a[j], b[4+j])
		out[j], out[4+j] = b[j], b[4+j]
	}
	return out
}

// packRows emits the packing loop for a matrix whose columns run along k: a
// copy of one register for each k.
func packRows(s isa, table operand.Mem) {
	build.TEXT("packRows"+s.name, build.NOSPLIT,
		"func(dst *float32, stride int, src *float32, ld, cols, k int)")
	build.Doc(fmt.Sprintf("packRows%s writes dst[p*stride+i] = src[p*ld+i] for i < cols, and 0 for cols <= i < %d; p < k.", s.name, s.lanes),
		fmt.Sprintf("cols is 1 to %d.", s.lanes))
	build.Pragma("noescape")
	dst := build.Load(build.Param("dst"), build.GP64())
	stride := build.Load(build.Param("stride"), build.GP64())
	src := build.Load(build.Param("src"), build.GP64())
	ld := build.Load(build.Param("ld"), build.GP64())
	cols := build.Load(build.Param("cols"), build.GP64()).(reg.GPVirtual)
	k := build.Load(build.Param("k"), build.GP64())
	build.SHLQ(operand.U8(2), ld)
	build.SHLQ(operand.U8(2), stride)
	m := mask{s, reg.K1, s.vec[len(s.vec)-1]}
	m.set(cols, table)

	const unroll = 4
	build.SUBQ(operand.U8(unroll), k)
	build.JLT(operand.LabelRef("tail"))
	build.Label("loop")
	for i := range unroll {
		m.load(operand.Mem{Base: src}, s.vec[i])
		build.ADDQ(ld, src)
	}
	for i := range unroll {
		build.VMOVUPS(s.vec[i], operand.Mem{Base: dst})
		build.ADDQ(stride, dst)
	}
	build.SUBQ(operand.U8(unroll), k)
	build.JGE(operand.LabelRef("loop"))
	build.Label("tail")
	build.ADDQ(operand.U8(unroll), k)
	build.JEQ(operand.LabelRef("done"))
	build.Label("one")
	m.load(operand.Mem{Base: src}, s.vec[0])
	build.VMOVUPS(s.vec[0], operand.Mem{Base: dst})
	build.ADDQ(ld, src)
	build.ADDQ(stride, dst)
	build.DECQ(k)
	build.JNE(operand.LabelRef("one"))
	build.Label("done")
	build.VZEROUPPER()
	build.RET()
}
