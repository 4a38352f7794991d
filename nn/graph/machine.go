package graph

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// Ctx is what a running op may use.
type Ctx struct {
	Engine *kernel.Engine
	// Accumulate: an op that can adds to its result instead of replacing it.
	Accumulate bool

	mem *Memory
}

// Memory is what machines compute in. Machines that share one must not run at
// the same time, and a run ends the validity of the others' values.
type Memory struct {
	arena   []float32
	scratch []float32
	decoded []float32 // weights that are decoded at each use
}

// Bytes is the size of the memory.
func (m *Memory) Bytes() int64 { return 4 * int64(len(m.arena)+cap(m.scratch)+cap(m.decoded)) }

// Idle is memory that the machines leave unused between two runs. What is
// written there lasts until the next run.
func (m *Memory) Idle() []float32 { return m.arena }

// Release lets the memory go; machines ask for it anew.
func (m *Memory) Release() { *m = Memory{} }

// Scratch returns n values of undefined content, valid until the op returns.
func (c *Ctx) Scratch(n int) []float32 {
	if c.mem == nil {
		return make([]float32, n)
	}
	if cap(c.mem.scratch) < n {
		c.mem.scratch = nil // let go before asking for more
		c.mem.scratch = make([]float32, n)
	}
	return c.mem.scratch[:n]
}

// weight returns a weight's values for one computation.
func (c *Ctx) weight(p *nn.Param) ([]float32, error) {
	if c.mem == nil {
		return p.Values()
	}
	return p.Use(c.Engine, &c.mem.decoded)
}

// Machine runs a graph. Buffers are planned once: two values share memory
// when they are never needed at the same time.
type Machine struct {
	// Watch makes Run stop at the first result that is not finite.
	Watch bool
	// Profile, if not nil, collects time and work by op name.
	Profile map[string]Cost

	ctx    Ctx
	code   []instr
	values []kernel.Matrix // by slot
	slots  map[Node]int
	inputs map[Node]int
	need   int          // size of the arena
	places []place      // where in it the planned slots lie
	placed *float32     // start of the arena that the slots point into
	bound  map[int]bool // slots that accumulate into memory of the caller
	params []paramSlot
}

// place is where a slot's values lie in the arena.
type place struct{ slot, offset, size int }

// Cost is what an op has cost so far.
type Cost struct {
	Calls int
	Time  time.Duration
	Flops float64
}

type paramSlot struct {
	slot  int
	param interface{ Values() ([]float32, error) }
}

type instr struct {
	op   *Op // nil: a sum that gorgonia inserted
	name string
	in   []int
	out  int
	skip bool // nothing to compute: the parts of a sum already lie in place
	args []kernel.Matrix
}

// storage is a piece of memory shared by one or several slots.
type storage struct {
	size     int
	from, to int // first and last instruction that touches it
	offset   int
	external bool
	parent   int // union-find
}

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
	callers := map[Node]bool{}
	for _, n := range bound {
		callers[n] = true
	}
	outputs = append(append([]Node(nil), outputs...), bound...)
	needed := map[Node]bool{}
	children := map[Node][]Node{}
	var visit func(n Node)
	visit = func(n Node) {
		if needed[n] {
			return
		}
		needed[n] = true
		for it := b.g.From(n.ID()); it != nil && it.Next(); {
			c := it.Node().(Node)
			children[n] = append(children[n], c)
			visit(c)
		}
	}
	for _, n := range outputs {
		visit(n)
	}

	m := &Machine{ctx: Ctx{Engine: b.e, mem: mem}, slots: map[Node]int{}, inputs: map[Node]int{}, bound: map[int]bool{}}
	var stores []storage
	find := func(i int) int {
		for stores[i].parent != i {
			i = stores[i].parent
		}
		return i
	}
	union := func(a, b int) {
		a, b = find(a), find(b)
		if a == b {
			return
		}
		stores[b].parent = a
		stores[a].size = max(stores[a].size, stores[b].size)
		stores[a].external = stores[a].external || stores[b].external
	}
	parts := map[Node]any{}
	for _, n := range b.g.AllNodes() { // creation order: children come first
		if !needed[n] {
			continue
		}
		slot := len(m.values)
		s := n.Shape()
		m.values = append(m.values, kernel.Mat(nil, s[0], s[1]))
		stores = append(stores, storage{size: s[0] * s[1], from: -1, parent: slot})
		m.slots[n] = slot
		stores[slot].external = n.Op() == nil || callers[n]
		if n.Op() == nil {
			m.inputs[n] = slot
			continue
		}
		in := instr{name: n.Op().String(), out: slot}
		for _, c := range children[n] {
			in.in = append(in.in, m.slots[c])
		}
		in.args = make([]kernel.Matrix, len(in.in))
		switch p := n.Op().(type) {
		case *Op:
			in.op = p
			if p.Part != nil {
				parts[n] = p.Part
			}
			if p.Alias {
				union(in.in[0], slot)
			}
		default:
			if !strings.HasPrefix(in.name, "+") || len(in.in) != 2 {
				return nil, fmt.Errorf("graph: cannot run %s", in.name)
			}
			in.name = "sum"
			l, r := children[n][0], children[n][1]
			if parts[l] != nil && parts[l] == parts[r] {
				parts[n], in.skip = parts[l], true
				union(in.in[0], in.in[1])
				union(in.in[0], slot)
			}
		}
		m.code = append(m.code, in)
	}
	for _, p := range b.params {
		if slot, ok := m.slots[b.trainable[p]]; ok {
			m.params = append(m.params, paramSlot{slot, p})
		}
	}
	for at, in := range m.code {
		for _, s := range append(append([]int(nil), in.in...), in.out) {
			g := &stores[find(s)]
			if g.from < 0 {
				g.from = at
			}
			g.to = at
		}
	}
	for _, n := range outputs {
		stores[find(m.slots[n])].to = len(m.code)
	}
	m.need = plan(stores)
	for slot := range m.values {
		if g := stores[find(slot)]; !g.external {
			m.places = append(m.places, place{slot, g.offset, g.size})
		}
	}
	return m, nil
}

// plan gives every storage an offset such that those alive at the same time
// do not overlap, largest first; it returns the total size.
func plan(mem []storage) int {
	var order []int
	for i := range mem {
		if mem[i].parent == i && !mem[i].external && mem[i].from >= 0 {
			mem[i].size = (mem[i].size + 15) &^ 15
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return mem[order[a]].size > mem[order[b]].size })
	var placed []int // by offset
	total := 0
	for _, i := range order {
		at := 0
		for _, j := range placed {
			if mem[j].from > mem[i].to || mem[j].to < mem[i].from {
				continue
			}
			if at+mem[i].size <= mem[j].offset {
				break
			}
			at = max(at, mem[j].offset+mem[j].size)
		}
		mem[i].offset = at
		total = max(total, at+mem[i].size)
		k := sort.Search(len(placed), func(k int) bool { return mem[placed[k]].offset > at })
		placed = append(placed, 0)
		copy(placed[k+1:], placed[k:])
		placed[k] = i
	}
	return total
}

// Bytes is the memory of all planned values.
func (m *Machine) Bytes() int64 { return int64(m.need) * 4 }

// settle points the planned slots into the memory, which it makes large enough.
func (m *Machine) settle() {
	mem := m.ctx.mem
	if len(mem.arena) < m.need {
		mem.arena = nil // let go before asking for more
		mem.arena = make([]float32, m.need)
	}
	if m.need == 0 || m.placed == &mem.arena[0] {
		return
	}
	m.placed = &mem.arena[0]
	for _, p := range m.places {
		if !m.bound[p.slot] {
			m.values[p.slot].Data = mem.arena[p.offset : p.offset+p.size : p.offset+p.size]
		}
	}
}

// Set gives an input its value, which is used in place.
func (m *Machine) Set(n Node, x kernel.Matrix) {
	if slot, ok := m.inputs[n]; ok {
		m.values[slot] = x
	}
}

// Bind makes the caller's memory hold an output. If its op can accumulate,
// Run adds to it while accumulate is set.
func (m *Machine) Bind(n Node, data []float32) {
	slot := m.slots[n]
	m.values[slot].Data = data
	m.bound[slot] = true
}

// Value is a computed output. It is valid until the next Run.
func (m *Machine) Value(n Node) kernel.Matrix { return m.values[m.slots[n]] }

// Run computes the outputs. accumulate: outputs that were bound are added to.
func (m *Machine) Run(accumulate bool) error {
	m.settle()
	for _, p := range m.params {
		v, err := p.param.Values()
		if err != nil {
			return err
		}
		m.values[p.slot].Data = v
	}
	for i := range m.code {
		in := &m.code[i]
		for j, s := range in.in {
			in.args[j] = m.values[s]
		}
		if err := m.step(in, accumulate); err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
	}
	return nil
}

func (m *Machine) step(in *instr, accumulate bool) error {
	out := &m.values[in.out]
	out.Rows = in.args[0].Rows
	var start time.Time
	if m.Profile != nil {
		start = time.Now()
	}
	bound := m.bound[in.out]
	switch {
	case in.op != nil && in.op.Alias:
		out.Data = in.args[0].Data
		if in.op.Run != nil {
			if err := in.op.Run(&m.ctx, out, in.args); err != nil {
				return err
			}
		}
	case in.op != nil:
		rows := in.op.Rows
		if rows == 0 {
			rows = out.Rows
		}
		if rows*out.Cols > len(out.Data) {
			return fmt.Errorf("%d × %d values exceed the planned %d", rows, out.Cols, len(out.Data))
		}
		m.ctx.Accumulate = accumulate && bound && in.op.Accumulates
		if err := in.op.Run(&m.ctx, out, in.args); err != nil {
			return err
		}
		m.ctx.Accumulate = false
	case !in.skip:
		if err := addRun(&m.ctx, out, in.args); err != nil {
			return err
		}
	}
	out.Stride = out.Cols
	if m.Profile != nil {
		c := m.Profile[in.name]
		c.Calls++
		c.Time += time.Since(start)
		if in.op != nil && in.op.Flops != nil {
			c.Flops += in.op.Flops(*out, in.args)
		}
		m.Profile[in.name] = c
	}
	if m.Watch && (in.op == nil || in.op.Part == nil) && !m.ctx.Engine.AllFinite(out.Data[:out.Rows*out.Cols]) {
		return &NonFiniteError{Node: in.name}
	}
	return nil
}

// NonFiniteError says that an op produced NaN or an infinity first.
type NonFiniteError struct{ Node string }

// Error implements error.
func (e *NonFiniteError) Error() string { return "first non-finite value at " + e.Node }
