package text

import (
	"encoding/binary"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
)

// Prefix computes what the frozen model makes of texts: the hidden states
// that enter block First, and for locality texts also the final states at the
// wanted rows. Results are cached; a text's result does not depend on the other
// texts or on the cache.
type Prefix struct {
	First int // first edited block
	Cache Cache[Computed]

	// Drifts says that weights from First on change from run to run, so that final
	// states are not those of an earlier run.
	Drifts bool

	model *lm.Model
	ops   *eager.Ops
	// Borrow, if not nil, gives memory that nothing else uses during a run:
	// states are computed there.
	Borrow func() []float32
	state  []float32
	Hits   int
	Miss   int
}

// Computed is what a prefix keeps of a text.
type Computed struct {
	States []float32 // [tokens, width]
	Final  []float32 // [wanted rows, width]
}

// NewPrefix returns a prefix that computes with k and keeps at most limit bytes.
func NewPrefix(m *lm.Model, k *kernel.Engine, first int, limit int64) *Prefix {
	return &Prefix{First: first, Cache: &Bounded[Computed]{Limit: limit}, model: m, ops: eager.New(k)}
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

// Item is one text to compute, and where its results go.
type Item struct {
	Text   Text
	States []float32 // [tokens, width]
	Final  []float32 // [wanted, width]; nil: not wanted
}

// Return gives borrowed memory back: what owns it may let it go.
func (p *Prefix) Return() { p.ops.Lend(nil) }

// passing tells whether an item's results hold for this run alone.
func (p *Prefix) passing(it Item) bool { return p.Drifts && it.Final != nil }

// Run fills the items' states and final states.
func (p *Prefix) Run(items []Item) error {
	var todo []int
	for i, it := range items {
		if c, ok := p.Cache.Get(key(it.Text, it.Final != nil)); ok && !p.passing(it) {
			copy(it.States, c.States)
			copy(it.Final, c.Final)
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
	if p.Borrow != nil {
		p.ops.Lend(p.Borrow())
	}
	list := make([][]int32, len(todo))
	for k, i := range todo {
		list[k] = items[i].Text.IDs
	}
	ids, seq := Lay(list...)
	x := lm.Embed[kernel.Matrix](p.ops, p.model, ids, seq)
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
	at, rest := 0, Packed{}
	var restData []float32
	for _, i := range todo {
		n := len(items[i].Text.IDs)
		states := x.Data[at*d : (at+n)*d]
		copy(items[i].States, states)
		if items[i].Final != nil {
			rest.Add(items[i].Text)
			restData = append(restData, states...)
		}
		at += n
	}
	if rest.Rows() > 0 {
		p.ops.Reset()
		y := lm.Blocks[kernel.Matrix](p.ops, p.model, kernel.Mat(restData, rest.Rows(), d), p.First, p.model.Config.Layers, &rest.Seq, &rest.Want)
		y = lm.FinalNorm[kernel.Matrix](p.ops, p.model, y)
		if err := p.ops.Err(); err != nil {
			return err
		}
		at = 0
		for _, i := range todo {
			at += copy(items[i].Final, y.Data[at:])
		}
	}
	for _, i := range todo {
		it := items[i]
		if p.passing(it) {
			continue
		}
		c := Computed{States: slices.Clone(it.States), Final: slices.Clone(it.Final)}
		p.Cache.Put(key(it.Text, it.Final != nil), c, 4*int64(len(it.States)+len(it.Final)))
	}
	return nil
}
