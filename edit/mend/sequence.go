package mend

import (
	"context"
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/meta"
)

// MemoryKind is the kind of the memory of a sequence.
const MemoryKind = "solved-rows"

// memory is the rows of an edit and, by way of before, of the edits before it.
type memory struct {
	names  []string        // weight names
	keys   []kernel.Matrix // by site: the rows' inputs in the base model, [rows, in]
	values []kernel.Matrix // by site: what the rows' outputs are to change by, [rows, out]
	before *memory
}

// Kind implements edit.Memory.
func (h *memory) Kind() string { return MemoryKind }

// Pack implements edit.Memory: the rows of all edits, the earliest first.
func (h *memory) Pack() (edit.Packed, error) {
	p := edit.Packed{Kind: MemoryKind, Info: []byte("{}")}
	for i, name := range h.names {
		k, v := h.all(i)
		p.Tensors = append(p.Tensors,
			edit.PackedTensor{Name: name + ".keys", Shape: []int{k.Rows, k.Cols}, Values: k.Data},
			edit.PackedTensor{Name: name + ".values", Shape: []int{v.Rows, v.Cols}, Values: v.Data})
	}
	return p, nil
}

// all is the rows of every edit at a site, the earliest first.
func (h *memory) all(site int) (keys, values kernel.Matrix) {
	var list []*memory
	for m := h; m != nil; m = m.before {
		list = append(list, m)
	}
	keys.Cols, values.Cols = h.keys[site].Cols, h.values[site].Cols
	for i := len(list) - 1; i >= 0; i-- {
		k, v := list[i].keys[site], list[i].values[site]
		keys.Data, values.Data = append(keys.Data, k.Data...), append(values.Data, v.Data...)
		keys.Rows, values.Rows = keys.Rows+k.Rows, values.Rows+v.Rows
	}
	keys.Stride, values.Stride = keys.Cols, values.Cols
	return keys, values
}

// Open implements edit.Opener.
func (e *Editor) Open(_ context.Context, _ *lm.Model, p edit.Packed) (edit.Memory, error) {
	if p.Kind != MemoryKind {
		return nil, fmt.Errorf("editor %s: its memory is %s, not %s", e.name, MemoryKind, p.Kind)
	}
	h := &memory{}
	for _, s := range e.o.Net.Sites {
		k, err := p.Tensor(s.Name+".keys", 2)
		if err != nil {
			return nil, err
		}
		v, err := p.Tensor(s.Name+".values", 2)
		if err != nil {
			return nil, err
		}
		if k.Shape[1] != s.Linear.In || v.Shape[1] != s.Linear.Out || k.Shape[0] != v.Shape[0] {
			return nil, fmt.Errorf("editor %s: memory of %s has shapes %v and %v for a weight %d → %d", e.name, s.Name, k.Shape, v.Shape, s.Linear.In, s.Linear.Out)
		}
		h.names = append(h.names, s.Name)
		h.keys = append(h.keys, kernel.Mat(k.Values, k.Shape[0], k.Shape[1]))
		h.values = append(h.values, kernel.Mat(v.Values, v.Shape[0], v.Shape[1]))
	}
	return h, nil
}

// Continue implements edit.Continuer. Where rows are solved for, the factors of
// every edit are those of the base model, and the rows of earlier edits join the
// prior: the model ends where one solve of all the edits would.
func (e *Editor) Continue(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	if e.o.Net.Config.Update.Rule != hypernet.Solve {
		return e.Apply(ctx, m, requests)
	}
	if last == nil || last.Memory == nil {
		if err := e.remember(m); err != nil {
			return nil, err
		}
		return e.Apply(ctx, m, requests)
	}
	before, ok := last.Memory.(*memory)
	if !ok {
		return nil, fmt.Errorf("editor %s: the last edit of the sequence was made by %s; a sequence has one editor", e.name, last.Editor)
	}
	post, err := e.posteriors(before)
	if err != nil {
		return nil, err
	}
	now, err := e.lift(m, before, post)
	if err != nil {
		return nil, err
	}
	looks := e.o.Net.Config.Update.Steps
	var alone [][]meta.Rows // [request][site]
	if looks > 1 {
		alone, err = e.begin(ctx, m, requests)
	} else {
		alone, err = e.rows(ctx, m, singles(requests), e.o.Net.Config.Update.Reach)
	}
	now.restore()
	if err != nil {
		return nil, err
	}
	d, whole, err := e.looks(m, alone, func(rows [][]meta.Rows) (*edit.Edited, []meta.Rows, error) {
		whole := e.join(rows)
		d, err := e.onto(now, post, requests, whole)
		return d, whole, err
	})
	if err != nil {
		return nil, err
	}
	if looks > 1 {
		d.Add(edit.SawEarlier, before.edits())
	}
	return d, e.keepRows(d, whole, before)
}

// edits is how many edits the memory is of; those of a file count as one.
func (h *memory) edits() (n int) {
	for m := h; m != nil; m = m.before {
		n++
	}
	return n
}

// onto is the edit by which rows, [site], get their values behind the edits of
// post.
func (e *Editor) onto(now *lifted, post []*hypernet.Posterior, requests []edit.Request, rows []meta.Rows) (*edit.Edited, error) {
	made := slices.Clone(rows)
	for i, s := range e.o.Net.Sites {
		r := &made[i]
		r.U = kernel.Mat(nil, 0, s.Linear.In)
		if r.Keys.Rows == 0 {
			continue
		}
		var err error
		if r.U, err = post[i].Solve(r.Keys); err != nil {
			return nil, fmt.Errorf("editor %s: %s: %w", e.name, s.Name, err)
		}
		r.D = now.lack(e.o, i, r.Keys, r.D)
	}
	return e.edited(requests, made), nil
}

// history is the posteriors behind the edits of a memory.
type history struct {
	of   *memory
	post []*hypernet.Posterior
}

// posteriors are those behind all edits of h, kept from edit to edit.
func (e *Editor) posteriors(h *memory) ([]*hypernet.Posterior, error) {
	if e.history.of == h {
		return e.history.post, nil
	}
	add := h
	if e.history.of == nil || h.before != e.history.of {
		e.history = history{post: make([]*hypernet.Posterior, len(h.names))}
		for i := range h.names {
			var err error
			if e.history.post[i], err = e.o.Net.Posterior(i); err != nil {
				return nil, err
			}
		}
		add = &memory{names: h.names}
		for i := range h.names {
			k, v := h.all(i)
			add.keys, add.values = append(add.keys, k), append(add.values, v)
		}
	}
	e.history.of = nil // until all of it is done
	for i, p := range e.history.post {
		if add.keys[i].Rows == 0 {
			continue
		}
		if err := p.Add(add.keys[i]); err != nil {
			return nil, fmt.Errorf("editor %s: %s: %w", e.name, h.names[i], err)
		}
	}
	e.history.of = h
	return e.history.post, nil
}

// remember keeps the weights of the model in which a sequence begins.
func (e *Editor) remember(m *lm.Model) error {
	e.base = nil
	for _, s := range e.o.Net.Sites {
		p, ok := m.Param(s.Name)
		if !ok {
			return fmt.Errorf("editor %s: the model has no weight %s", e.name, s.Name)
		}
		v, err := p.Values()
		if err != nil {
			return err
		}
		e.base = append(e.base, v)
	}
	return nil
}

// lifted is a model whose edits are taken back for a while.
type lifted struct {
	now, base [][]float32
	undo      []func()
}

func (l *lifted) restore() {
	for _, u := range l.undo {
		u()
	}
}

// lift makes the weights of the sites those of the base model. Where the
// sequence did not begin with this editor, they are the present ones less what
// the rows of h have changed.
func (e *Editor) lift(m *lm.Model, h *memory, post []*hypernet.Posterior) (*lifted, error) {
	l := &lifted{base: e.base}
	for i, s := range e.o.Net.Sites {
		p, ok := m.Param(s.Name)
		linear, isLinear := m.Linear(s.Name)
		if !ok || !isLinear {
			l.restore()
			return nil, fmt.Errorf("editor %s: the model has no weight %s; use the base model that the editor was trained for", e.name, s.Name)
		}
		v, err := p.Values()
		if err != nil {
			l.restore()
			return nil, err
		}
		l.now = append(l.now, v)
		if e.base == nil {
			keys, values := h.all(i)
			l.base = append(l.base, post[i].Before(v, linear, keys, values))
		}
		undo, err := p.Replace(l.base[i])
		if err != nil {
			l.restore()
			return nil, err
		}
		l.undo = append(l.undo, undo)
	}
	e.base = l.base
	return l, nil
}

// lack is what the rows' outputs lack of their values in the edited model:
// D − U·(W − W₀)ᵀ, [rows, out].
func (l *lifted) lack(o *meta.Objective, site int, keys, values kernel.Matrix) kernel.Matrix {
	linear := o.Site(site).Linear
	out := kernel.Mat(make([]float32, len(values.Data)), values.Rows, values.Cols)
	had := kernel.Mat(make([]float32, len(values.Data)), values.Rows, values.Cols)
	w, trans := linear.Mat(l.now[site])
	o.Engine().Gemm(out, kernel.Product{A: keys, B: w, TransB: trans})
	w, trans = linear.Mat(l.base[site])
	o.Engine().Gemm(had, kernel.Product{A: keys, B: w, TransB: trans})
	for i := range out.Data {
		out.Data[i] = values.Data[i] - (out.Data[i] - had.Data[i])
	}
	return out
}

// keepRows gives an edit its memory, which is whole, its rows by site, behind those
// before it, and its changes the rows that they were solved from.
func (e *Editor) keepRows(d *edit.Edited, whole []meta.Rows, before *memory) error {
	h := &memory{before: before}
	for i, s := range e.o.Net.Sites {
		keys, values := whole[i].Keys, whole[i].D
		h.names, h.keys, h.values = append(h.names, s.Name), append(h.keys, keys), append(h.values, values)
		v, ridge, err := e.o.Net.Whitened(e.o.Engine(), i, keys)
		if err != nil {
			return fmt.Errorf("editor %s: %w", e.name, err)
		}
		d.Changes[i].Rows = &edit.Rows{Keys: keys, Solved: v, Values: values, Ridge: ridge}
	}
	d.Memory = h
	return nil
}

// scaled is scale·x in memory of its own.
func scaled(x kernel.Matrix, scale float32) kernel.Matrix {
	out := kernel.Mat(make([]float32, x.Rows*x.Cols), x.Rows, x.Cols)
	for i := range x.Rows {
		for j, v := range x.Data[i*x.Stride : i*x.Stride+x.Cols] {
			out.Data[i*x.Cols+j] = scale * v
		}
	}
	return out
}
