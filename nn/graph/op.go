package graph

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"keyhole.example/keyhole/internal/kernel"
)

// Op is one operation on float32 matrices, as data: its kind, what the kind's
// kernels have to know of it, and its static shape, which bounds the rows; how
// many there are is known only when it runs.
type Op struct {
	*Kind
	Attr any // of the type that the kind's functions expect
	// Rows and Cols bound the result. Rows 0 means: as many as input 0.
	Rows, Cols int
	// WRT says of which inputs there are gradients. nil: of all, if the kind
	// has any.
	WRT []bool
	// Part, if not nil, says that the result fills only some rows of a matrix
	// that other ops with the same key fill the rest of; their sum then costs
	// nothing.
	Part any

	id    uint32
	arity int
	b     *Builder
}

// Kind is an entry of the table of operations: what all ops of a name have in
// common.
type Kind struct {
	Name string
	// Host computes an op on this machine.
	Host Kernel
	// Grad adds what the gradients with respect to the inputs are, given that
	// of the result; anything where WRT is false. nil: there are none.
	Grad func(b *Builder, p *Op, in []Node, out, grad Node) []Node
	// Flops counts the floating-point operations of matrix products.
	Flops func(p *Op, out kernel.Matrix, in []kernel.Matrix) float64
	// Alias: the result lies in input 0's memory; the kernel, if any, changes it
	// in place, so nothing else may read input 0 afterwards.
	Alias bool
	// Accumulates: the kernel adds to out when Ctx.Accumulate is set.
	Accumulates bool
}

// Kernel computes out from in. out.Data has room for the bound; out.Rows is
// preset to in[0].Rows and may be changed.
type Kernel func(c *Ctx, p *Op, out *kernel.Matrix, in []kernel.Matrix) error

// With is a kernel of a kind whose ops have attributes of type A.
func With[A any](fn func(c *Ctx, a A, out *kernel.Matrix, in []kernel.Matrix) error) Kernel {
	return func(c *Ctx, p *Op, out *kernel.Matrix, in []kernel.Matrix) error { return fn(c, p.Attr.(A), out, in) }
}

// Device is a table of kernels by name of kind. A graph runs on a device whose
// table has all of its kinds.
type Device struct {
	Name    string
	Kernels map[string]Kernel
}

// kernelOf is what computes ops of kind k, nil if there is nothing to compute.
// The host, a nil device, has its kernels beside the kinds.
func (d *Device) kernelOf(k *Kind) (Kernel, error) {
	if d == nil || k.Host == nil {
		return k.Host, nil
	}
	run, ok := d.Kernels[k.Name]
	if !ok {
		return nil, fmt.Errorf("graph: the device %s has no kernel for %s", d.Name, k.Name)
	}
	return run, nil
}

var (
	_ gorgonia.Op   = (*Op)(nil)
	_ gorgonia.SDOp = (*Op)(nil)
)

var matrixType = gorgonia.TensorType{Dims: 2, Of: tensor.Float32}

// Arity implements gorgonia.Op.
func (p *Op) Arity() int { return p.arity }

// Type implements gorgonia.Op: matrices in, a matrix out.
func (p *Op) Type() hm.Type {
	t := make([]hm.Type, p.arity+1)
	for i := range t {
		t[i] = matrixType
	}
	return hm.NewFnType(t...)
}

// InferShape implements gorgonia.Op.
func (p *Op) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	rows := p.Rows
	if rows == 0 {
		var err error
		if rows, err = in[0].DimSize(0); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return tensor.Shape{rows, p.Cols}, nil
}

// Do implements gorgonia.Op, for gorgonia's own machines.
func (p *Op) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	in := make([]kernel.Matrix, len(values))
	for i, v := range values {
		t, ok := v.(*tensor.Dense)
		if !ok {
			return nil, fmt.Errorf("%s: input %d is a %T, not a matrix", p.Name, i, v)
		}
		in[i] = kernel.Mat(t.Float32s(), t.Shape()[0], t.Shape()[1])
	}
	rows := p.Rows
	if rows == 0 {
		rows = in[0].Rows
	}
	data := make([]float32, rows*p.Cols)
	out := kernel.Mat(data, in[0].Rows, p.Cols)
	if p.Alias {
		copy(data, in[0].Data)
	}
	if p.Host != nil {
		if err := p.Host(&Ctx{Engine: p.b.k}, p, &out, in); err != nil {
			return nil, err
		}
	}
	return tensor.New(tensor.WithShape(rows, p.Cols), tensor.WithBacking(data)), nil
}

// ReturnsPtr implements gorgonia.Op.
func (p *Op) ReturnsPtr() bool { return false }

// CallsExtern implements gorgonia.Op.
func (p *Op) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op.
func (p *Op) OverwritesInput() int { return -1 }

// WriteHash implements gorgonia.Op. Every op is unique.
func (p *Op) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s#%d", p.Name, p.id) }

// Hashcode implements gorgonia.Op.
func (p *Op) Hashcode() uint32 {
	h := fnv.New32a()
	p.WriteHash(h)
	return h.Sum32()
}

// String implements gorgonia.Op.
func (p *Op) String() string { return p.Name }

// DiffWRT implements gorgonia.SDOp.
func (p *Op) DiffWRT(n int) []bool {
	if p.WRT != nil {
		return p.WRT
	}
	wrt := make([]bool, n)
	for i := range wrt {
		wrt[i] = p.Kind.Grad != nil
	}
	return wrt
}

// SymDiff implements gorgonia.SDOp.
func (p *Op) SymDiff(in gorgonia.Nodes, out, grad Node) (gorgonia.Nodes, error) {
	if p.Kind.Grad == nil {
		return nil, fmt.Errorf("%s has no gradient", p.Name)
	}
	return p.Kind.Grad(p.b, p, in, out, grad), nil
}
