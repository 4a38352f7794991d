package trace

import (
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// kept is what a run leaves behind, by block: the outputs of blocks and of their
// modules [rows, width], what entered block 0, and attention's keys and values.
type kept struct {
	in           []float32
	hidden       [][]float32
	mlp, attn    [][]float32
	keys, values [][]float32
}

func newKept(layers int) *kept {
	return &kept{
		hidden: make([][]float32, layers), mlp: make([][]float32, layers), attn: make([][]float32, layers),
		keys: make([][]float32, layers), values: make([][]float32, layers),
	}
}

// at is where the outputs of a component are kept, nil if they are not.
func (k *kept) at(c nn.Component) [][]float32 {
	switch c {
	case nn.BlockOut:
		return k.hidden
	case nn.MLPOut:
		return k.mlp
	case nn.AttnOut:
		return k.attn
	}
	return nil
}

// tap keeps a copy of what passes.
func (k *kept) tap(p nn.Place, x kernel.Matrix) {
	if p.At == nn.BlockIn && p.Layer == 0 {
		k.in = slices.Clone(x.Data[:x.Rows*x.Cols])
	}
	if states := k.at(p.At); states != nil {
		states[p.Layer] = slices.Clone(x.Data[:x.Rows*x.Cols])
	}
}

// ops computes at once, and either keeps attention's keys and values or reads
// those of earlier rows from what was kept.
type ops struct {
	*eager.Ops
	record *kept // keep keys and values here

	// Segment i of a call continues a text whose first rows are kept in past,
	// from row first[i] on; it has as many as KLen exceeds QLen.
	past  *kept
	first []int
}

var _ nn.Ops[kernel.Matrix] = (*ops)(nil)

// Attend implements nn.Ops.
func (o *ops) Attend(layer int, q, k, v kernel.Matrix, a kernel.Attention, s *nn.Sequences) kernel.Matrix {
	if o.record != nil {
		o.record.keys[layer] = slices.Clone(k.Data[:k.Rows*k.Cols])
		o.record.values[layer] = slices.Clone(v.Data[:v.Rows*v.Cols])
	}
	if o.past == nil {
		return o.Ops.Attend(layer, q, k, v, a, s)
	}
	rows := 0
	for _, g := range s.Segs {
		rows += g.KLen
	}
	y := o.Alloc(q.Rows, q.Cols)
	allK, allV := o.Alloc(rows, k.Cols), o.Alloc(rows, v.Cols)
	for i, g := range s.Segs {
		join(allK, k, o.past.keys[layer], o.first[i], g)
		join(allV, v, o.past.values[layer], o.first[i], g)
	}
	o.Engine().Attend(y.Data, q.Data, allK.Data, allV.Data, a, s.Segs)
	return y
}

// join writes segment g's rows of all: those kept from row first on, then the
// new ones.
func join(all, now kernel.Matrix, past []float32, first int, g kernel.Segment) {
	w := all.Cols
	old := (g.KLen - g.QLen) * w
	copy(all.Data[g.K*w:g.K*w+old], past[first*w:])
	copy(all.Data[g.K*w+old:(g.K+g.KLen)*w], now.Data[g.Q*w:])
}
