package edit

import (
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// Change is a change of one weight: a low-rank addition or new values.
type Change struct {
	Weight string    // Hugging Face name
	Delta  *nn.Delta // W += Scale·Dᵀ·U in the orientation [out, in]; or nil
	Values []float32 // new values in the stored orientation, if Delta is nil
	Rows   *Rows     // what Delta was solved from; nil: it was not
}

// Install writes the changes into the model's weights and returns the
// function that puts every byte back.
func (e *Edited) Install(m *lm.Model, k *kernel.Engine) (undo func(), err error) {
	var undos []func()
	undo = func() {
		for _, u := range slices.Backward(undos) {
			u()
		}
	}
	for _, c := range e.Changes {
		p, ok := m.Param(c.Weight)
		if !ok {
			undo()
			return nil, fmt.Errorf("edit by %s: the model has no weight %s", e.Editor, c.Weight)
		}
		values := c.Values
		if c.Delta != nil {
			if values, err = materialise(m, k, p, c); err != nil {
				undo()
				return nil, err
			}
		}
		for i, v := range values {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				undo()
				return nil, fmt.Errorf("edit by %s: weight %s would be %v at element %d; nothing was changed", e.Editor, c.Weight, v, i)
			}
		}
		u, err := p.Replace(values)
		if err != nil {
			undo()
			return nil, err
		}
		undos = append(undos, u)
	}
	return undo, nil
}

// materialise is the weight with the low-rank addition made, in a new slice.
func materialise(m *lm.Model, k *kernel.Engine, p *nn.Param, c Change) ([]float32, error) {
	old, err := p.Values()
	if err != nil {
		return nil, err
	}
	values := slices.Clone(old)
	l, ok := m.Linear(c.Weight)
	if !ok {
		return nil, fmt.Errorf("weight %s is no linear layer, so a low-rank change does not fit it", c.Weight)
	}
	d := *c.Delta
	if d.U.Rows == 0 {
		return values, nil
	}
	if d.U.Cols != l.In || d.D.Cols != l.Out {
		return nil, fmt.Errorf("weight %s: factors of widths %d and %d for a layer %d → %d", c.Weight, d.U.Cols, d.D.Cols, l.In, l.Out)
	}
	left, right := d.D, d.U // [out, in] += Dᵀ·U
	if l.InOut {
		left, right = d.U, d.D
	}
	scaled := kernel.Mat(make([]float32, left.Rows*left.Cols), left.Rows, left.Cols)
	for i := range left.Rows {
		copy(scaled.Data[i*left.Cols:(i+1)*left.Cols], left.Data[i*left.Stride:])
	}
	k.Scale(scaled.Data, d.Scale)
	k.Gemm(kernel.Mat(values, p.Rows, p.Cols), kernel.Product{A: scaled, TransA: true, B: right, Accumulate: true})
	return values, nil
}

// Deltas returns the changes as additions for eager computation of task 0,
// or false if one of them is not low-rank.
func (e *Edited) Deltas() (map[string][]nn.Delta, bool) {
	out := map[string][]nn.Delta{}
	for _, c := range e.Changes {
		if c.Delta == nil || len(out[c.Weight]) > 0 {
			return nil, false
		}
		out[c.Weight] = []nn.Delta{*c.Delta}
	}
	return out, true
}

// Bytes is what the edit's numbers take, with those of its memory.
func (e *Edited) Bytes() int64 { return e.ChangeBytes() + e.memoryBytes() }

// ChangeBytes is what the changes take.
func (e *Edited) ChangeBytes() int64 {
	n := 0
	for _, c := range e.Changes {
		n += len(c.Values)
		if d := c.Delta; d != nil {
			n += d.U.Rows*d.U.Cols + d.D.Rows*d.D.Cols
		}
	}
	return 4 * int64(n)
}

// memoryBytes is what the memory's numbers take.
func (e *Edited) memoryBytes() int64 {
	if e.Memory == nil {
		return 0
	}
	p, err := e.Memory.Pack()
	if err != nil {
		return 0
	}
	n := int64(len(p.Info))
	for _, t := range p.Tensors {
		n += 4 * int64(len(t.Values))
	}
	return n
}

// FirstBlock is the lowest block that the edit changes, or the number of
// blocks if it changes none. Below it the edited model computes what the base
// model does.
func (e *Edited) FirstBlock(m *lm.Model) int {
	block := map[string]int{}
	for _, s := range m.Sites() {
		block[s.Name] = s.Block
		if s.Linear.B != nil {
			block[s.Linear.B.Name] = s.Block
		}
	}
	first := m.Config.Layers
	for _, c := range e.Changes {
		first = min(first, block[c.Weight]) // 0 for a weight outside linear layers
	}
	if a := e.AdapterOf(); a != nil {
		for _, one := range parts(a) {
			for _, w := range one.Weights() {
				first = min(first, block[w])
			}
		}
	}
	return first
}
