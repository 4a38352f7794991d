// Command asm writes ../decode_amd64.s and its Go stubs: the decoding loops of
// the commonest quantised types, for AVX-512 and for AVX2 with F16C.
//
// It is a module of its own so that the generator's library is no dependency
// of the program. Run it with `go generate ./lm/tensorfile`.
package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const block = 32 // values

// isa is an instruction set: its lanes of float32, and a register of each width.
type isa struct {
	name  string
	lanes int
	vec   func() reg.VecVirtual
	half  func() reg.VecVirtual // as many half-precision lanes
}

var sets = []isa{
	{"AVX512", 16, build.ZMM, build.YMM},
	{"AVX2", 8, build.YMM, build.XMM},
}

// format is a type whose blocks are half-precision numbers, then quantities.
type format struct {
	name    string
	doc     string
	halves  int
	nibbles bool
	minus   int // subtracted from each nibble
}

var formats = []format{
	{"q4_0", "(q-8)·d", 1, true, 8},
	{"q4_1", "q·d + m", 2, true, 0},
	{"q8_0", "q·d", 1, false, 0},
}

func (f format) size() int {
	if f.nibbles {
		return 2*f.halves + block/2
	}
	return 2*f.halves + block
}

// splat fills a register with a 32-bit constant.
func (s isa) splat(v int) reg.VecVirtual {
	scalar, x, out := build.GP32(), build.XMM(), s.vec()
	build.MOVL(operand.U32(v), scalar)
	build.VMOVD(scalar, x)
	build.VPBROADCASTD(x, out)
	return out
}

// scale fills a register with the half-precision number at m.
func (s isa) scale(m operand.Mem) reg.VecVirtual {
	h, out := s.half(), s.vec()
	build.VPBROADCASTW(m, h)
	build.VCVTPH2PS(h, out)
	return out
}

// and is the bitwise conjunction of integers.
func (s isa) and(a, b, out reg.VecVirtual) {
	if s.lanes == 16 {
		build.VPANDD(a, b, out)
	} else {
		build.VPAND(a, b, out)
	}
}

func (f format) function(s isa) {
	name := f.name + s.name
	build.TEXT(name, build.NOSPLIT, "func(dst *float32, raw *byte, blocks int)")
	build.Doc(fmt.Sprintf("%s decodes blocks of %d values, each %s, rounded after each operation.", name, block, f.doc))
	build.Pragma("noescape")
	dst := build.Load(build.Param("dst"), build.GP64())
	raw := build.Load(build.Param("raw"), build.GP64())
	left := build.Load(build.Param("blocks"), build.GP64())
	var low, minus reg.VecVirtual
	if f.nibbles {
		low = s.splat(15)
	}
	if f.minus != 0 {
		minus = s.splat(f.minus)
	}
	build.TESTQ(left, left)
	build.JZ(operand.LabelRef("done"))
	build.Label("next")
	d := s.scale(operand.Mem{Base: raw})
	var m reg.VecVirtual
	if f.halves == 2 {
		m = s.scale(operand.Mem{Base: raw, Disp: 2})
	}
	put := func(q reg.VecVirtual, at int) {
		if f.minus != 0 {
			build.VPSUBD(minus, q, q)
		}
		build.VCVTDQ2PS(q, q)
		build.VMULPS(d, q, q)
		if f.halves == 2 {
			build.VADDPS(m, q, q)
		}
		build.VMOVUPS(q, operand.Mem{Base: dst, Disp: 4 * at})
	}
	stored := block
	if f.nibbles {
		stored /= 2
	}
	for i := 0; i < stored; i += s.lanes {
		from := operand.Mem{Base: raw, Disp: 2*f.halves + i}
		q := s.vec()
		if !f.nibbles {
			build.VPMOVSXBD(from, q)
			put(q, i)
			continue
		}
		build.VPMOVZXBD(from, q)
		high := s.vec()
		build.VPSRLD(operand.U8(4), q, high)
		s.and(low, q, q)
		put(q, i)
		put(high, i+stored)
	}
	build.ADDQ(operand.U32(f.size()), raw)
	build.ADDQ(operand.U32(4*block), dst)
	build.DECQ(left)
	build.JNZ(operand.LabelRef("next"))
	build.Label("done")
	build.VZEROUPPER()
	build.RET()
}

func main() {
	for _, s := range sets {
		for _, f := range formats {
			f.function(s)
		}
	}
	build.Generate()
}
