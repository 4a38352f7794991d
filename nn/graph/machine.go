package graph

import (
	"fmt"
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

	placed []*Machine // whose values lie in the arena
}

// Bytes is the size of the memory.
func (m *Memory) Bytes() int64 { return 4 * int64(len(m.arena)+cap(m.scratch)+cap(m.decoded)) }

// Idle is memory that the machines leave unused between two runs. What is
// written there lasts until the next run.
func (m *Memory) Idle() []float32 { return m.arena }

// Release lets the memory go; machines ask for it anew.
func (m *Memory) Release() {
	m.drop()
	*m = Memory{}
}

// drop lets the arena go, and the machines' values with it.
func (m *Memory) drop() {
	for _, user := range m.placed {
		for _, p := range user.places {
			if !user.bound[p.slot] {
				user.values[p.slot].Data = nil
			}
		}
		user.placed = false
	}
	m.placed, m.arena = nil, nil
}

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
	placed bool         // the slots point into the memory's arena
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
	op   *Op
	run  Kernel // nil: nothing to compute
	in   []int
	out  int
	args []kernel.Matrix
}

// Bytes is the memory of all planned values.
func (m *Machine) Bytes() int64 { return int64(m.need) * 4 }

// settle points the planned slots into the memory, which it makes large enough.
func (m *Machine) settle() {
	mem := m.ctx.mem
	if len(mem.arena) < m.need {
		mem.drop() // before asking for more
		mem.arena = make([]float32, m.need)
	}
	if m.need == 0 || m.placed {
		return
	}
	m.placed, mem.placed = true, append(mem.placed, m)
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
			return fmt.Errorf("%s: %w", in.op.Name, err)
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
	if in.op.Alias {
		out.Data = in.args[0].Data
	} else if in.run != nil {
		rows := in.op.Rows
		if rows == 0 {
			rows = out.Rows
		}
		if rows*out.Cols > len(out.Data) {
			return fmt.Errorf("%d × %d values exceed the planned %d", rows, out.Cols, len(out.Data))
		}
	}
	if in.run != nil {
		m.ctx.Accumulate = accumulate && m.bound[in.out] && in.op.Accumulates
		if err := in.run(&m.ctx, in.op, out, in.args); err != nil {
			return err
		}
	}
	out.Stride = out.Cols
	if m.Profile != nil {
		c := m.Profile[in.op.Name]
		c.Calls++
		c.Time += time.Since(start)
		if in.op.Flops != nil {
			c.Flops += in.op.Flops(in.op, *out, in.args)
		}
		m.Profile[in.op.Name] = c
	}
	if m.Watch && in.op.Part == nil && !m.ctx.Engine.AllFinite(out.Data[:out.Rows*out.Cols]) {
		return &NonFiniteError{Node: in.op.Name}
	}
	return nil
}

// NonFiniteError says that an op produced NaN or an infinity first.
type NonFiniteError struct{ Node string }

// Error implements error.
func (e *NonFiniteError) Error() string { return "first non-finite value at " + e.Node }
