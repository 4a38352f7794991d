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

// Op is one operation on float32 matrices, as a gorgonia Op. Its static shape
// bounds the rows; how many there are is known only when it runs.
type Op struct {
	Name string
	// Rows and Cols bound the result. Rows 0 means: as many as input 0.
	Rows, Cols int
	// Run computes out from in. out.Data has room for the bound; out.Rows is
	// preset to in[0].Rows and may be changed.
	Run func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error
	// Diff returns the gradients with respect to the inputs, given that of
	// the result; anything where WRT is false.
	Diff func(in gorgonia.Nodes, out, grad *gorgonia.Node) gorgonia.Nodes
	WRT  []bool
	// Alias: the result lies in input 0's memory; Run, if any, changes it in
	// place, so nothing else may read input 0 afterwards.
	Alias bool
	// Part, if not nil, says that the result fills only some rows of a matrix
	// that other ops with the same key fill the rest of; their sum then costs
	// nothing.
	Part any
	// Accumulates: Run adds to out when Ctx.Accumulate is set.
	Accumulates bool
	// Flops counts the floating-point operations of matrix products.
	Flops func(out kernel.Matrix, in []kernel.Matrix) float64

	id     uint32
	arity  int
	engine *kernel.Engine // for Do, when gorgonia's own machine runs the graph
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
	if p.Run == nil {
		return tensor.New(tensor.WithShape(rows, p.Cols), tensor.WithBacking(data)), nil
	}
	if err := p.Run(&Ctx{Engine: p.engine}, &out, in); err != nil {
		return nil, err
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
	if p.WRT == nil {
		return make([]bool, n)
	}
	return p.WRT
}

// SymDiff implements gorgonia.SDOp.
func (p *Op) SymDiff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	if p.Diff == nil {
		return nil, fmt.Errorf("%s has no gradient", p.Name)
	}
	return p.Diff(in, out, grad), nil
}
