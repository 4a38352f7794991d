package graph

import (
	"fmt"
	"strings"

	"keyhole.example/keyhole/internal/kernel"
)

// Compile plans the computation of outputs and whatever they need, in a memory
// of its own.
func (b *Builder) Compile(outputs ...Node) (*Machine, error) {
	return b.CompileIn(&Memory{}, outputs...)
}

// CompileIn is Compile in a memory that is shared with other machines.
func (b *Builder) CompileIn(mem *Memory, outputs ...Node) (*Machine, error) {
	return b.CompileBound(mem, nil, outputs...)
}

// CompileBound is CompileIn with further outputs, for which no memory is
// planned: the caller gives it with Bind before the first run.
func (b *Builder) CompileBound(mem *Memory, bound []Node, outputs ...Node) (*Machine, error) {
	if b.err != nil {
		return nil, b.err
	}
	c := &compiler{
		b:        b,
		outputs:  append(append([]Node(nil), outputs...), bound...),
		bound:    map[Node]bool{},
		children: map[Node][]Node{},
		m:        &Machine{ctx: Ctx{Engine: b.k, mem: mem}, slots: map[Node]int{}, inputs: map[Node]int{}, bound: map[int]bool{}},
	}
	for _, n := range bound {
		c.bound[n] = true
	}
	c.collect()
	if err := c.emit(); err != nil {
		return nil, err
	}
	c.fuse()
	c.live()
	c.place()
	return c.m, nil
}

// compiler turns a graph into a machine. Its passes run in the order in which
// they stand here.
type compiler struct {
	b        *Builder
	outputs  []Node
	bound    map[Node]bool // outputs whose memory is the caller's
	nodes    []Node        // what has to be computed, children first
	children map[Node][]Node
	stores   []storage // by slot
	m        *Machine
}

// collect finds the nodes that the outputs need.
func (c *compiler) collect() {
	needed := map[Node]bool{}
	var visit func(n Node)
	visit = func(n Node) {
		if needed[n] {
			return
		}
		needed[n] = true
		for it := c.b.g.From(n.ID()); it != nil && it.Next(); {
			child := it.Node().(Node)
			c.children[n] = append(c.children[n], child)
			visit(child)
		}
	}
	for _, n := range c.outputs {
		visit(n)
	}
	for _, n := range c.b.g.AllNodes() { // creation order: children come first
		if needed[n] {
			c.nodes = append(c.nodes, n)
		}
	}
}

// emit gives each node a slot for its value, and each op an instruction with the
// kernel that its device's table has.
func (c *compiler) emit() error {
	m := c.m
	for _, n := range c.nodes {
		slot, s := len(m.values), n.Shape()
		m.slots[n] = slot
		m.values = append(m.values, kernel.Mat(nil, s[0], s[1]))
		c.stores = append(c.stores, storage{size: s[0] * s[1], from: -1, parent: slot, external: n.Op() == nil || c.bound[n]})
		if n.Op() == nil {
			m.inputs[n] = slot
			continue
		}
		in := instr{out: slot}
		for _, child := range c.children[n] {
			in.in = append(in.in, m.slots[child])
		}
		in.args = make([]kernel.Matrix, len(in.in))
		var err error
		if in.op, err = opOf(n, len(in.in)); err == nil {
			in.run, err = c.b.Device.kernelOf(in.op.Kind)
		}
		if err != nil {
			return err
		}
		m.code = append(m.code, in)
	}
	for _, p := range c.b.params {
		if slot, ok := m.slots[c.b.trainable[p]]; ok {
			m.params = append(m.params, paramSlot{slot, p})
		}
	}
	return nil
}

// opOf is the op of a node. The only one that is not ours is the sum of two
// values that gorgonia inserts where gradients meet.
func opOf(n Node, inputs int) (*Op, error) {
	if p, ok := n.Op().(*Op); ok {
		return p, nil
	}
	if name := n.Op().String(); !strings.HasPrefix(name, "+") || inputs != 2 {
		return nil, fmt.Errorf("graph: cannot run %s", name)
	}
	return &Op{Kind: sum, Cols: n.Shape()[1]}, nil
}

// sum is add under the name by which it is told from a model's.
var sum = &Kind{Name: "sum", Host: add.Host}

// fuse makes slots share memory: the result of an op that works in place and
// its input, and the parts of one matrix with their sum, which then needs no
// instruction.
func (c *compiler) fuse() {
	parts := map[int]any{} // by slot
	for i := range c.m.code {
		in := &c.m.code[i]
		switch {
		case in.op.Kind == sum:
			l, r := in.in[0], in.in[1]
			if parts[l] != nil && parts[l] == parts[r] {
				parts[in.out] = parts[l]
				in.op, in.run = &Op{Kind: parted, Cols: in.op.Cols}, nil
				c.share(l, r)
				c.share(l, in.out)
			}
		case in.op.Part != nil:
			parts[in.out] = in.op.Part
		}
		if in.op.Alias {
			c.share(in.in[0], in.out)
		}
	}
}

// parted is a sum whose parts lie in place.
var parted = &Kind{Name: "sum"}

// live finds the instructions from and to which each storage is needed.
func (c *compiler) live() {
	for at, in := range c.m.code {
		for _, s := range append(append([]int(nil), in.in...), in.out) {
			g := &c.stores[c.find(s)]
			if g.from < 0 {
				g.from = at
			}
			g.to = at
		}
	}
	for _, n := range c.outputs {
		c.stores[c.find(c.m.slots[n])].to = len(c.m.code)
	}
}

// place gives storages their places in the arena.
func (c *compiler) place() {
	c.m.need = plan(c.stores)
	for slot := range c.m.values {
		if g := c.stores[c.find(slot)]; !g.external {
			c.m.places = append(c.m.places, place{slot, g.offset, g.size})
		}
	}
}

func (c *compiler) find(i int) int {
	for c.stores[i].parent != i {
		i = c.stores[i].parent
	}
	return i
}

// share makes slots a and b one storage.
func (c *compiler) share(a, b int) {
	a, b = c.find(a), c.find(b)
	if a == b {
		return
	}
	c.stores[b].parent = a
	c.stores[a].size = max(c.stores[a].size, c.stores[b].size)
	c.stores[a].external = c.stores[a].external || c.stores[b].external
}
