// Command vecasm writes ../vec_amd64.s and its Go stubs: the vector primitives
// under the row-wise kernels, for AVX-512 and for AVX2 with FMA.
//
// Every primitive works on blocks of 16 elements, one AVX-512 register or two
// AVX2 registers, with the same operations in the same order, so both sets
// give the same bytes. Lengths are multiples of 16; the callers pad.
//
// It is a module of its own so that the generator's library is no dependency
// of the program. Run it with `go generate ./internal/kernel`.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/buildtags"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// block is the number of bytes of the 16 elements taken at once.
const block = 64

// isa is an instruction set: the suffix of its functions and how many float32
// a register holds.
type isa struct {
	name  string
	lanes int
}

// parts is the number of registers for a block.
func (s isa) parts() int { return 16 / s.lanes }

func (s isa) vec() reg.VecVirtual {
	if s.lanes == 16 {
		return build.ZMM()
	}
	return build.YMM()
}

func (s isa) zero() reg.VecVirtual {
	v := s.vec()
	build.VXORPS(v, v, v)
	return v
}

// fn is a function being written: its pointers, its scalars broadcast to
// registers, and its constants.
type fn struct {
	isa
	table  map[string]operand.Mem
	held   map[string]reg.VecVirtual // constants in registers
	ptr    map[string]reg.GPVirtual
	scalar map[string]reg.VecVirtual
	n      reg.Register // bytes
	i      reg.GPVirtual
	part   int // which register of the block the body is for
}

// k is a constant as the first operand of an instruction: AVX-512 has the
// registers to hold them all, AVX2 reads them from memory.
func (f *fn) k(name string) operand.Op {
	if v, ok := f.held[name]; ok {
		return v
	}
	m, ok := f.table[name]
	if !ok {
		panic("no constant " + name)
	}
	return m
}

// kreg is a constant in a register, not to be written to.
func (f *fn) kreg(name string) reg.VecVirtual {
	if v, ok := f.held[name]; ok {
		return v
	}
	return f.kcopy(name)
}

// kcopy is a constant in a register of its own.
func (f *fn) kcopy(name string) reg.VecVirtual {
	v := f.vec()
	build.VMOVUPS(f.k(name), v)
	return v
}

// at is this body's part of the current block behind a pointer.
func (f *fn) at(name string) operand.Mem {
	return operand.Mem{Base: f.ptr[name], Index: f.i, Scale: 1, Disp: f.part * 4 * f.lanes}
}

func (f *fn) load(name string) reg.VecVirtual {
	v := f.vec()
	build.VMOVUPS(f.at(name), v)
	return v
}

func (f *fn) store(v reg.VecVirtual, name string) { build.VMOVUPS(v, f.at(name)) }

// writer holds what the functions have in common.
type writer struct {
	isa
	table      map[string]operand.Mem
	signatures *[]signature
}

// begin opens a function over n elements with the given pointers and float32
// scalars, and holds the constants named.
func (w writer) begin(name, doc string, ptrs, scalars, constants []string, result string) *fn {
	sig := "func("
	for _, p := range ptrs {
		sig += p + " *float32, "
	}
	sig += "n int"
	for _, s := range scalars {
		sig += ", " + s + " float32"
	}
	build.TEXT(name+w.name, build.NOSPLIT, sig+")"+result)
	build.Doc(name + w.name + " " + doc + ". n is a multiple of 16.")
	build.Pragma("noescape")
	if w.lanes == 16 {
		*w.signatures = append(*w.signatures, newSignature(name, ptrs, scalars, strings.TrimSpace(result)))
	}
	f := &fn{isa: w.isa, table: w.table, held: map[string]reg.VecVirtual{}, ptr: map[string]reg.GPVirtual{}, scalar: map[string]reg.VecVirtual{}}
	for _, p := range ptrs {
		r := build.GP64()
		build.Load(build.Param(p), r)
		f.ptr[p] = r
	}
	n := build.GP64()
	build.Load(build.Param("n"), n)
	build.SHLQ(operand.U8(2), n)
	f.n = n
	f.i = build.GP64()
	build.XORQ(f.i, f.i)
	for _, s := range scalars {
		f.scalar[s] = f.broadcast(s)
	}
	if w.lanes == 16 {
		for _, c := range constants {
			f.held[c] = f.kcopy(c)
		}
	}
	return f
}

func (f *fn) broadcast(param string) reg.VecVirtual {
	b, err := build.Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	v := f.vec()
	build.VBROADCASTSS(b.Addr, v)
	return v
}

// loop runs body for each block left, unroll blocks at a time, while so many
// are left.
func (f *fn) loop(label string, unroll int, body func(u int)) {
	last := build.GP64()
	build.MOVQ(f.n, last)
	build.SUBQ(operand.U32(uint32(unroll*block)), last)
	build.Label(label)
	build.CMPQ(f.i, last)
	build.JG(operand.LabelRef(label + "End"))
	for u := range unroll {
		for f.part = u * f.parts(); f.part < (u+1)*f.parts(); f.part++ {
			body(u)
		}
	}
	build.ADDQ(operand.U32(uint32(unroll*block)), f.i)
	build.JMP(operand.LabelRef(label))
	build.Label(label + "End")
	f.part = 0
}

// each writes a function whose elements are independent.
func (w writer) each(name, doc string, ptrs, scalars, constants []string, body func(f *fn)) {
	f := w.begin(name, doc, ptrs, scalars, constants, "")
	f.loop("loop", 1, func(int) { body(f) })
	build.VZEROUPPER()
	build.RET()
}

// combine is an instruction with two sources and a destination.
type combine func(...operand.Op)

// fold combines all lanes of a block of registers into the first one.
func (f *fn) fold(op combine, v []reg.VecVirtual) reg.VecVirtual {
	var y reg.Register
	if f.lanes == 16 {
		hi := build.YMM()
		build.VEXTRACTF64X4(operand.U8(1), v[0], hi)
		lo := v[0].AsY()
		op(hi, lo, hi)
		y = hi
	} else {
		op(v[1], v[0], v[1])
		y = v[1]
	}
	x := build.XMM()
	build.VEXTRACTF128(operand.U8(1), y, x)
	lo := y.(reg.Vec).AsX()
	op(x, lo, x)
	t := build.XMM()
	build.VPSHUFD(operand.U8(0b01_00_11_10), x, t)
	op(t, x, x)
	build.VPSHUFD(operand.U8(0b10_11_00_01), x, t)
	op(t, x, x)
	return x
}

// reduce writes a function that folds a row into one number. It keeps unroll
// blocks of accumulators, which start as the constant init.
func (w writer) reduce(name, doc string, ptrs, scalars, constants []string, unroll int, init string, op combine, result string, body func(f *fn, acc reg.VecVirtual)) {
	f := w.begin(name, doc, ptrs, scalars, constants, " "+result)
	acc := make([]reg.VecVirtual, unroll*f.parts())
	for i := range acc {
		acc[i] = f.vec()
		build.VMOVUPS(f.k(init), acc[i])
	}
	if unroll > 1 {
		f.loop("wide", unroll, func(int) { body(f, acc[f.part]) })
	}
	f.loop("loop", 1, func(int) { body(f, acc[f.part]) })
	for step := unroll / 2; step >= 1; step /= 2 {
		for i := range step * f.parts() {
			op(acc[i+step*f.parts()], acc[i], acc[i])
		}
	}
	x := f.fold(op, acc[:f.parts()])
	if result == "uint32" {
		r := build.GP32()
		build.VMOVD(x, r)
		build.VZEROUPPER()
		build.Store(r, build.ReturnIndex(0))
	} else {
		build.Store(x, build.ReturnIndex(0))
		build.VZEROUPPER()
	}
	build.RET()
}

func main() {
	build.Constraint(buildtags.Term("amd64"))
	dispatch := flag.String("dispatch", "", "path of the Go file that chooses between the two sets")
	table := constantTable()
	var signatures []signature
	for _, s := range []isa{{"AVX512", 16}, {"AVX2", 8}} {
		w := writer{s, table, &signatures}
		w.arithmetic()
		w.sums()
		w.norms()
		w.exponentials()
		w.activations()
		w.clamps()
		w.adam()
		w.rowSums()
	}
	transpose()
	build.Generate()
	if err := writeDispatch(*dispatch, signatures); err != nil {
		fmt.Fprintln(os.Stderr, "vecasm:", err)
		os.Exit(1)
	}
}

func constantTable() map[string]operand.Mem {
	table := map[string]operand.Mem{}
	for _, c := range constants {
		m := build.GLOBL("vec"+c.name, build.RODATA|build.NOPTR)
		for i := range 16 {
			build.DATA(4*i, operand.U32(c.bits))
		}
		if _, ok := table[c.name]; ok {
			panic(fmt.Sprintf("constant %s twice", c.name))
		}
		table[c.name] = m
	}
	return table
}
