// Package graph builds a model's operations as nodes of one gorgonia
// expression graph and runs such graphs.
//
// Builder implements nn.Ops; gorgonia differentiates the result symbolically
// (each op brings its gradient as further nodes); Machine runs it on buffers
// planned once. Static shapes only bound the number of Rows: a graph serves
// every batch that fits, and computes just the rows that are there, so that
// rounding up never changes a result.
//
// An op is data: a kind, which is an entry of a table with what it computes and
// its gradient, and attributes. To add one, write its kind and a method of
// Builder that applies it, as linear.go, norm.go, attend.go, rows.go and
// elementwise.go do; packages above add kinds of their own in the same way.
//
// Read op.go (what an op is, and the contract with gorgonia), graph.go,
// elementwise.go (the simplest kinds), head.go (losses), compile.go (a graph
// becomes a plan, pass by pass), machine.go (the plan runs).
package graph

import (
	"fmt"

	_ "go4.org/unsafe/assume-no-moving-gc" // the newest version, without which gorgonia refuses new Go versions
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// Node is a value of the graph: a float32 matrix.
type Node = *gorgonia.Node

// Builder adds operations to a graph. Frozen weights are constants inside the
// ops; trainable ones are input nodes made by Trainable.
type Builder struct {
	// OnLinear, if set, is called for every linear layer with its input x
	// and output y and returns what to use instead of y.
	OnLinear func(l *nn.Linear, x, y Node) Node
	// OnTap, if set, sees every announced state and returns what to use
	// instead.
	OnTap func(p nn.Place, x Node) Node
	// Device is the table of the kernels that machines run; nil: the host's.
	Device *Device

	g         *gorgonia.ExprGraph
	k         *kernel.Engine
	trainable map[*nn.Param]Node
	params    []*nn.Param
	space     *[]nn.Range
	ids       uint32
	err       error
}

var _ nn.Ops[Node] = (*Builder)(nil)

// New returns a builder of an empty graph whose ops compute with k.
func New(k *kernel.Engine) *Builder {
	return &Builder{g: gorgonia.NewGraph(), k: k, trainable: map[*nn.Param]Node{}}
}

// Graph is the gorgonia graph built so far.
func (b *Builder) Graph() *gorgonia.ExprGraph { return b.g }

// Err is the first error of any call.
func (b *Builder) Err() error { return b.err }

// Input adds an input node of at most rows × cols values.
func (b *Builder) Input(name string, rows, cols int) Node {
	b.ids++
	return gorgonia.NewMatrix(b.g, tensor.Float32, gorgonia.WithName(fmt.Sprintf("%s#%d", name, b.ids)), gorgonia.WithShape(rows, cols))
}

// Trainable makes p an input node, so that gradients with respect to it can
// be asked for; its values are read at each run.
func (b *Builder) Trainable(p *nn.Param) Node {
	if n, ok := b.trainable[p]; ok {
		return n
	}
	n := b.Input(p.Name, p.Rows, p.Cols)
	b.trainable[p] = n
	b.params = append(b.params, p)
	return n
}

// SetTasks says which rows of the coming values belong to which task. The
// slice is read anew at each run.
func (b *Builder) SetTasks(tasks *[]nn.Range) { b.space = tasks }

// Tasks is the rows-to-task list that holds at this point of the building.
func (b *Builder) Tasks() *[]nn.Range { return b.space }

// Grad returns the gradients of the sum of all entries of costs with respect
// to wrt.
func (b *Builder) Grad(costs []Node, wrt ...Node) []Node {
	if b.err != nil {
		return make([]Node, len(wrt))
	}
	one := make(gorgonia.Nodes, len(costs))
	for i, cost := range costs {
		one[i] = b.Apply(&Op{Kind: ones, Cols: width(cost)}, cost)
	}
	grads, err := gorgonia.Backpropagate(gorgonia.Nodes(costs), one, gorgonia.Nodes(wrt))
	if err != nil {
		b.fail(fmt.Errorf("differentiating: %w", err))
		return make([]Node, len(wrt))
	}
	return grads
}

func (b *Builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Apply adds p to the graph. After an error it returns input 0, so that
// building can go on without nil checks; Err tells in the end.
func (b *Builder) Apply(p *Op, in ...Node) Node {
	if b.err != nil {
		return in[0]
	}
	b.ids++
	p.id, p.arity, p.b = b.ids, len(in), b
	n, err := gorgonia.ApplyOp(p, in...)
	if err != nil {
		b.fail(fmt.Errorf("%s: %w", p.Name, err))
		return in[0]
	}
	return n
}

// width is the number of columns of n.
func width(n Node) int { return n.Shape()[1] }
