// Command asm writes ../gemm_amd64.s and its Go stubs: the matrix-product
// micro-kernels and the packing loops for AVX-512 and for AVX2 with FMA.
//
// It is a module of its own so that the generator's library is no dependency
// of the program. Run it with `go generate ./internal/kernel`.
package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/buildtags"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa describes one instruction set: how many float32 a register holds, how
// many rows of C a tile has, and the registers by number. A tile is rows by
// two registers.
type isa struct {
	name  string
	lanes int
	rows  int
	vec   []reg.VecPhysical
}

var (
	avx512 = isa{"AVX512", 16, 14, []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}}
	avx2 = isa{"AVX2", 8, 6, []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}}
)

// width is the size of a register in bytes.
func (s isa) width() int { return 4 * s.lanes }

// zero clears a register.
func (s isa) zero(v reg.VecPhysical) {
	if s.lanes == 16 {
		build.VPXORD(v, v, v)
	} else {
		build.VXORPS(v, v, v)
	}
}

// mask makes load and store take their first n lanes only, n being in a
// general register: AVX-512 keeps a mask in an opmask register, AVX2 in a
// vector register read from a table.
type mask struct {
	isa
	k reg.OpmaskPhysical
	v reg.VecPhysical
}

func (s mask) set(n reg.GPVirtual, table operand.Mem) {
	if s.lanes == 16 {
		bits, one := build.GP64(), build.GP64()
		build.MOVQ(n, reg.RCX)
		build.MOVQ(operand.U32(1), one)
		build.MOVQ(one, bits)
		build.SHLQ(reg.CL, bits)
		build.SUBQ(one, bits)
		build.KMOVW(bits.As32(), s.k)
		return
	}
	at := build.GP64()
	build.LEAQ(table, at)
	off := build.GP64()
	build.MOVQ(n, off)
	build.NEGQ(off)
	build.VMOVUPS(operand.Mem{Base: at, Index: off, Scale: 4, Disp: 32}, s.v)
}

func (s mask) load(m operand.Mem, v reg.VecPhysical) {
	if s.lanes == 16 {
		build.VMOVUPS_Z(m, s.k, v)
	} else {
		build.VMASKMOVPS(m, s.v, v)
	}
}

func (s mask) store(v reg.VecPhysical, m operand.Mem) {
	if s.lanes == 16 {
		build.VMOVUPS(v, s.k, m)
	} else {
		build.VMASKMOVPS(v, s.v, m)
	}
}

func main() {
	build.Constraint(buildtags.Term("amd64"))
	table := build.GLOBL("laneMask", build.RODATA|build.NOPTR)
	for i := range 16 {
		ones := operand.U32(0)
		if i < 8 {
			ones = 0xffffffff
		}
		build.DATA(4*i, ones)
	}
	for _, s := range []isa{avx512, avx2} {
		tile(s, table)
		packTrans(s, table)
		packRows(s, table)
	}
	relax()
	build.Generate()
}

// relax emits the hint that a loop is waiting.
func relax() {
	build.TEXT("relax", build.NOSPLIT, "func()")
	build.Doc("relax tells the processor that a loop is waiting for another thread.")
	for range 8 {
		build.PAUSE()
	}
	build.RET()
}
