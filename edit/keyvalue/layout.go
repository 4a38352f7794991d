package keyvalue

import (
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// layout is the packed texts of an optimisation.
type layout struct {
	ids  []int32
	seqs *nn.Sequences
	at   []int32 // rows where δ is added, one in each segment that has any
	// labels are the wanted tokens of some rows: text is which prompt they
	// belong to.
	labels  []label
	prompts int
	share   float32 // weight of each label in the loss
	essence int32   // row of the essence prompt whose distribution shall stay
}

type label struct {
	row  int32
	id   int32
	text int
}

// newLayout lays out the prompts, each followed by all tokens of the target but
// the last, and the essence prompt.
func newLayout(f *Fact) *layout {
	texts := make([]Text, 0, len(f.Prompts)+1)
	n := len(f.Target)
	for _, p := range f.Prompts {
		texts = append(texts, Text{IDs: append(slices.Clone(p.IDs), f.Target[:n-1]...), At: p.At})
	}
	texts = append(texts, f.Essence)
	ids, seqs, at := packed(texts)
	l := &layout{ids: ids.V, seqs: seqs, at: at, prompts: len(f.Prompts), essence: at[len(at)-1]}
	l.share = 1 / float32(n) / float32(len(f.Prompts))
	for i := range f.Prompts {
		end := seqs.Segs[i].Q + seqs.Segs[i].QLen
		for j, id := range f.Target {
			l.labels = append(l.labels, label{row: int32(end - n + j), id: id, text: i})
		}
	}
	return l
}

// kept is what δ cannot change: the states behind the edited block, and the keys
// and values of the blocks after it.
type kept struct {
	keys         *nn.Keys
	state, value kernel.Matrix // output of the edited block, and of its MLP
}

// keep runs the layout once without δ.
func keep(m *lm.Model, e *kernel.Engine, l *layout, block, blocks int) (*kept, error) {
	k, o := &kept{keys: nn.NewKeys(blocks)}, eager.New(e)
	o.OnTap = func(p nn.Place, x kernel.Matrix) {
		if p.Layer != block {
			return
		}
		dense := func() kernel.Matrix { return kernel.Mat(slices.Clone(x.Data[:x.Rows*x.Cols]), x.Rows, x.Cols) }
		switch p.At {
		case nn.MLPOut:
			k.value = dense()
		case nn.BlockOut:
			k.state = dense()
		}
	}
	x := lm.Embed[kernel.Matrix](o, m, &nn.IDs{V: l.ids}, l.seqs)
	x = lm.Blocks[kernel.Matrix](o, m, x, 0, block+1, l.seqs, nil)
	// What the last block makes of its keys and values is not needed.
	one, keeping := &nn.RowSet{V: []int32{0}}, *l.seqs
	keeping.Past = k.keys
	lm.Blocks[kernel.Matrix](o, m, x, block+1, blocks, &keeping, one)
	k.keys.Advance(l.seqs.Rows())
	return k, o.Err()
}

// suffix are the rows that δ can change, in the numbering of a layout.
type suffix struct {
	rows []int32       // row in the layout, by row here
	here map[int32]int // and back
	seqs nn.Sequences  // queries count rows here, keys count rows of the layout
}

// newSuffix takes each segment's rows from its looked-up row on, or from its
// first label if that comes before; attention sees the keys of the other rows as
// they were kept.
func newSuffix(l *layout, past *nn.Keys) *suffix {
	first := make([]int32, len(l.seqs.Segs))
	for i, g := range l.seqs.Segs {
		end := int32(g.Q + g.QLen)
		inside := func(r int32) bool { return int(r) >= g.Q && r < end }
		first[i] = end
		for _, r := range l.at {
			if inside(r) {
				first[i] = min(first[i], r)
			}
		}
		for _, lab := range l.labels {
			if inside(lab.row) {
				first[i] = min(first[i], lab.row)
			}
		}
	}
	s := &suffix{here: map[int32]int{}}
	s.seqs, s.rows = l.seqs.Rest(first, past)
	for i, r := range s.rows {
		s.here[r] = i
	}
	return s
}

// gather copies the suffix's rows of all, a matrix over the layout, to x.
func (s *suffix) gather(x, all []float32, cols int) {
	for i, r := range s.rows {
		copy(x[i*cols:(i+1)*cols], all[int(r)*cols:])
	}
}
