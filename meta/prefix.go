package meta

import (
	"encoding/binary"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/nn/graph"
)

// Prefix computes what the frozen model makes of texts: the hidden states
// that enter block First, and for locality texts also the final states at the
// wanted rows. Results are cached up to Limit bytes; a text's result does not
// depend on the other texts or on the cache.
type Prefix struct {
	First int   // first edited block
	Limit int64 // bytes of cached states; 0: no cache

	model *lm.Model
	ops   *eager.Ops
	// memory, if not nil, is that of graphs which do not run at the same time:
	// states are computed there.
	memory *graph.Memory
	cache  map[string]entry
	state  []float32
	used   int64
	Hits   int
	Miss   int
}

type entry struct {
	states []float32 // [tokens, width]
	final  []float32 // [wanted rows, width]
}

// NewPrefix returns a prefix that computes with e.
func NewPrefix(m *lm.Model, e *kernel.Engine, first int, limit int64) *Prefix {
	return &Prefix{First: first, Limit: limit, model: m, ops: eager.New(e), cache: map[string]entry{}}
}

// key identifies a text and what is wanted of it.
func key(t Text, final bool) string {
	b := make([]byte, 0, 8*len(t.IDs)+1)
	for _, id := range t.IDs {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	if !final {
		return string(append(b, 0))
	}
	for i, l := range t.Labels {
		if l >= 0 {
			b = binary.LittleEndian.AppendUint32(b, uint32(i))
		}
	}
	return string(append(b, 1))
}

// item is one text to compute, and where its results go.
type item struct {
	text   Text
	states []float32 // [tokens, width]
	final  []float32 // [wanted, width]; nil: not wanted
}

// Run fills the items' states and final states.
func (p *Prefix) Run(items []item) error {
	var todo []int
	for i, it := range items {
		if c, ok := p.cache[key(it.text, it.final != nil)]; ok {
			copy(it.states, c.states)
			copy(it.final, c.final)
			p.Hits++
			continue
		}
		p.Miss++
		todo = append(todo, i)
	}
	if len(todo) == 0 {
		return nil
	}
	d := p.model.Config.Width
	p.ops.Reset()
	if p.memory != nil {
		p.ops.Lend(p.memory.Idle())
	}
	var ids nn.IDs
	var lengths []int
	for _, i := range todo {
		ids.V = append(ids.V, items[i].text.IDs...)
		lengths = append(lengths, len(items[i].text.IDs))
	}
	seq := nn.Pack(lengths...)
	x := lm.Embed[kernel.Matrix](p.ops, p.model, &ids, seq)
	for b := range p.First { // block by block, so that only one state is kept
		x = lm.Blocks[kernel.Matrix](p.ops, p.model, x, b, b+1, seq, nil)
		if err := p.ops.Err(); err != nil {
			return err
		}
		p.state = append(p.state[:0], x.Data...)
		p.ops.Reset()
		x = kernel.Mat(p.state, x.Rows, x.Cols)
	}
	if err := p.ops.Err(); err != nil {
		return err
	}
	at, rest := 0, packed{}
	restRows := 0
	var restData []float32
	for _, i := range todo {
		n := len(items[i].text.IDs)
		states := x.Data[at*d : (at+n)*d]
		copy(items[i].states, states)
		if items[i].final != nil {
			rest.add([]Text{items[i].text}, &restRows)
			restData = append(restData, states...)
		}
		at += n
	}
	if restRows > 0 {
		p.ops.Reset()
		rest.seq.Set(rest.lengths)
		y := lm.Blocks[kernel.Matrix](p.ops, p.model, kernel.Mat(restData, restRows, d), p.First, p.model.Config.Layers, &rest.seq, &rest.want)
		y = lm.FinalNorm[kernel.Matrix](p.ops, p.model, y)
		if err := p.ops.Err(); err != nil {
			return err
		}
		at = 0
		for _, i := range todo {
			at += copy(items[i].final, y.Data[at:])
		}
	}
	for _, i := range todo {
		p.remember(items[i])
	}
	return nil
}

// remember keeps an item's results while there is room.
func (p *Prefix) remember(it item) {
	size := int64(len(it.states)+len(it.final)) * 4
	if p.used+size > p.Limit {
		return
	}
	p.used += size
	e := entry{states: append([]float32(nil), it.states...)}
	if it.final != nil {
		e.final = append([]float32(nil), it.final...)
	}
	p.cache[key(it.text, it.final != nil)] = e
}
