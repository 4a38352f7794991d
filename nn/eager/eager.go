// Package eager computes a model's operations at once on float32 rows.
//
// The central type is Ops. Its values are dense matrices in memory that the
// interpreter recycles: a value is valid until the Scope around it ends or
// Reset is called, so whoever wants to keep one copies it.
//
// Read eager.go, then arena.go.
package eager

import (
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// Ops implements nn.Ops on matrices. The zero value of each exported field
// means: nothing special.
type Ops struct {
	// OnTap sees every announced state and may change it in place.
	OnTap func(p nn.Place, x kernel.Matrix)
	// OnLinear sees the input x [rows, in] and output y [rows, out] of every
	// linear layer, after deltas were added; it may change y in place.
	OnLinear func(l *nn.Linear, x, y kernel.Matrix)
	// Deltas are additions to linear layers by weight name, one per task
	// (nil U.Data: none). Tasks come from SetTasks and from RowSet.
	Deltas map[string][]nn.Delta

	k       *kernel.Engine
	arena   arena
	scratch []float32
	tasks   []nn.Range
	err     error
}

var _ nn.Ops[kernel.Matrix] = (*Ops)(nil)

// New returns an interpreter that computes with k.
func New(k *kernel.Engine) *Ops { return &Ops{k: k} }

// Engine is the engine the interpreter computes with.
func (o *Ops) Engine() *kernel.Engine { return o.k }

// Err is the first error since the last Reset.
func (o *Ops) Err() error { return o.err }

// Reset forgets the error and recycles every value.
func (o *Ops) Reset() {
	o.err = nil
	o.tasks = nil
	o.arena.reset(mark{})
}

// Lend makes the interpreter compute in memory, as far as it reaches, until it
// is lent other memory; nil takes it back. It ends the validity of all values.
func (o *Ops) Lend(memory []float32) { o.arena.lend(memory) }

// SetTasks says which rows of the coming values belong to which task.
func (o *Ops) SetTasks(tasks []nn.Range) { o.tasks = tasks }

// Alloc returns a matrix of undefined values: [rows, cols].
func (o *Ops) Alloc(rows, cols int) kernel.Matrix {
	return kernel.Mat(o.arena.alloc(rows*cols), rows, cols)
}

func (o *Ops) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

func (o *Ops) values(p *nn.Param) []float32 {
	v, err := p.Values()
	if err != nil {
		o.fail(err)
		return make([]float32, p.Len())
	}
	return v
}

// Embed implements nn.Ops.
func (o *Ops) Embed(table *nn.Param, ids *nn.IDs) kernel.Matrix {
	y := o.Alloc(len(ids.V), table.Cols)
	for i, id := range ids.V {
		if int(id) < 0 || int(id) >= table.Rows {
			o.fail(fmt.Errorf("%s: row %d is outside the table's %d rows", table.Name, id, table.Rows))
			clear(y.Data)
			return y
		}
		if err := table.Row(y.Data[i*table.Cols:(i+1)*table.Cols], int(id)); err != nil {
			o.fail(err)
			return y
		}
	}
	return y
}

// Linear implements nn.Ops.
func (o *Ops) Linear(l *nn.Linear, x kernel.Matrix) kernel.Matrix {
	y := o.Alloc(x.Rows, l.Out)
	if x.Cols != l.In {
		o.fail(fmt.Errorf("%s: input of width %d for a layer of width %d", l.W.Name, x.Cols, l.In))
		return y
	}
	w, err := l.W.Use(o.k, &o.scratch)
	if err != nil {
		o.fail(err)
		return y
	}
	m, trans := l.Mat(w)
	o.k.Gemm(y, kernel.Product{A: x, B: m, TransB: trans})
	if l.B != nil {
		o.k.AddBias(y, o.values(l.B))
	}
	o.addDeltas(l, x, y)
	if l.Cap > 0 {
		o.k.SoftCap(y.Data[:y.Rows*y.Cols], y.Data[:y.Rows*y.Cols], l.Cap)
	}
	if o.OnLinear != nil {
		o.OnLinear(l, x, y)
	}
	return y
}

// addDeltas adds each task's low-rank change to its rows of y.
func (o *Ops) addDeltas(l *nn.Linear, x, y kernel.Matrix) {
	deltas := o.Deltas[l.W.Name]
	if len(deltas) == 0 {
		return
	}
	at := o.arena.mark()
	for t, d := range deltas {
		if t >= len(o.tasks) {
			o.fail(fmt.Errorf("%s: %d tasks are edited but the rows name %d", l.W.Name, len(deltas), len(o.tasks)))
			return
		}
		r := o.tasks[t]
		if d.U.Rows == 0 || r.Hi == r.Lo {
			continue
		}
		s := o.Alloc(r.Hi-r.Lo, d.U.Rows)
		d.AddTo(o.k, r.Of(y), r.Of(x), s)
	}
	o.arena.reset(at)
}

// LayerNorm implements nn.Ops.
func (o *Ops) LayerNorm(n *nn.Norm, x kernel.Matrix) kernel.Matrix {
	y := o.Alloc(x.Rows, x.Cols)
	var bias []float32
	if n.Bias != nil {
		bias = o.values(n.Bias)
	}
	o.k.LayerNorm(y.Data, x.Data, o.values(n.Gain), bias, n.Eps, x.Rows, x.Cols)
	return y
}

// RMSNorm implements nn.Ops.
func (o *Ops) RMSNorm(n *nn.Norm, x kernel.Matrix) kernel.Matrix {
	y := o.Alloc(x.Rows, x.Cols)
	o.k.RMSNorm(y.Data, x.Data, o.values(n.Gain), n.Eps, x.Rows*x.Cols/n.Gain.Cols, n.Gain.Cols)
	return y
}

// Rotate implements nn.Ops.
func (o *Ops) Rotate(x kernel.Matrix, heads int, r *kernel.Rotation, s *nn.Sequences) kernel.Matrix {
	y := o.Alloc(x.Rows, x.Cols)
	if half := r.Rotary / 2; half > 0 {
		limit := len(r.Cos) / half
		for _, p := range s.Pos[:x.Rows] {
			if int(p) < 0 || int(p) >= limit {
				o.fail(fmt.Errorf("rotary positions: position %d, counted from 0, is outside the model's %d", p, limit))
				clear(y.Data)
				return y
			}
		}
	}
	o.k.Rotate(y.Data, x.Data, heads, s.Pos, r, false, x.Rows)
	return y
}

// Attend implements nn.Ops.
func (o *Ops) Attend(layer int, q, k, v kernel.Matrix, a kernel.Attention, s *nn.Sequences) kernel.Matrix {
	y := o.Alloc(q.Rows, q.Cols)
	keys, values := s.Seen(layer, k, v, o.arena.alloc)
	o.k.Attend(y.Data, q.Data, keys, values, a, s.Segs)
	return y
}

// Columns implements nn.Ops.
func (o *Ops) Columns(x kernel.Matrix, idx []int32) kernel.Matrix {
	y := o.Alloc(x.Rows, len(idx))
	o.k.PickColumns(y, x, idx)
	return y
}

// Rows implements nn.Ops.
func (o *Ops) Rows(x kernel.Matrix, rows *nn.RowSet) kernel.Matrix {
	y := o.Alloc(len(rows.V), x.Cols)
	for i, r := range rows.V {
		copy(y.Data[i*x.Cols:(i+1)*x.Cols], x.Data[int(r)*x.Stride:])
	}
	o.tasks = rows.Tasks
	return y
}

// Activate implements nn.Ops.
func (o *Ops) Activate(kind kernel.Activation, x kernel.Matrix) kernel.Matrix {
	y := o.Alloc(x.Rows, x.Cols)
	o.k.Activate(kind, y.Data, x.Data)
	return y
}

// Add implements nn.Ops.
func (o *Ops) Add(a, b kernel.Matrix) kernel.Matrix {
	y := o.Alloc(a.Rows, a.Cols)
	o.k.Add(y.Data, a.Data, b.Data)
	return y
}

// Mul implements nn.Ops.
func (o *Ops) Mul(a, b kernel.Matrix) kernel.Matrix {
	y := o.Alloc(a.Rows, a.Cols)
	o.k.Mul(y.Data, a.Data, b.Data)
	return y
}

// Scale implements nn.Ops.
func (o *Ops) Scale(x kernel.Matrix, by float32) kernel.Matrix {
	y := o.Alloc(x.Rows, x.Cols)
	copy(y.Data, x.Data)
	o.k.Scale(y.Data, by)
	return y
}

// Tap implements nn.Ops.
func (o *Ops) Tap(p nn.Place, x kernel.Matrix) kernel.Matrix {
	if o.OnTap != nil {
		o.OnTap(p, x)
	}
	return x
}

// Scope implements nn.Ops: fn's inner values are recycled. The result moves to
// the start of their memory, which it may overlap.
func (o *Ops) Scope(fn func() kernel.Matrix) kernel.Matrix {
	at := o.arena.mark()
	y := fn()
	o.arena.reset(at)
	out := o.Alloc(y.Rows, y.Cols)
	copy(out.Data, y.Data)
	return out
}
