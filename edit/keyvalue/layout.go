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
	input        kernel.Matrix // of the MLP's second linear layer, at the looked-up tokens
}

// keep runs the layout once without δ.
func keep(m *lm.Model, k *kernel.Engine, l *layout, block, blocks int) (*kept, error) {
	out, o := &kept{keys: nn.NewKeys(blocks)}, eager.New(k)
	o.OnTap = func(p nn.Place, x kernel.Matrix) {
		if p.Layer != block {
			return
		}
		switch p.At {
		case nn.MLPAct:
			out.input = picked(x, l.at)
		case nn.MLPOut:
			out.value = x.Clone()
		case nn.BlockOut:
			out.state = x.Clone()
		}
	}
	x := lm.Embed[kernel.Matrix](o, m, &nn.IDs{V: l.ids}, l.seqs)
	x = lm.Blocks[kernel.Matrix](o, m, x, 0, block+1, l.seqs, nil)
	// What the last block makes of its keys and values is not needed.
	one, keeping := &nn.RowSet{V: []int32{0}}, *l.seqs
	keeping.Past = out.keys
	lm.Blocks[kernel.Matrix](o, m, x, block+1, blocks, &keeping, one)
	out.keys.Advance(l.seqs.Rows())
	return out, o.Err()
}

// picked are copies of rows of x.
func picked(x kernel.Matrix, rows []int32) kernel.Matrix {
	out := kernel.Mat(make([]float32, len(rows)*x.Cols), len(rows), x.Cols)
	for i, r := range rows {
		copy(out.Data[i*x.Cols:(i+1)*x.Cols], x.Data[int(r)*x.Stride:])
	}
	return out
}

// suffix are the rows that δ can change, in the numbering of a layout.
type suffix struct {
	rows []int32       // row in the layout, by row here
	here map[int32]int // and back
	seqs nn.Sequences  // queries count rows here, keys count rows of the layout
}

// newSuffix takes each segment's rows from its looked-up row on, or from its
// first label if that comes before, to the last row that is read; attention sees
// the keys of earlier rows as they were kept.
func newSuffix(l *layout, past *nn.Keys) *suffix {
	used := append(slices.Clone(l.at), l.essence)
	for _, lab := range l.labels {
		used = append(used, lab.row)
	}
	parts := make([]nn.Range, len(l.seqs.Segs))
	for i, g := range l.seqs.Segs {
		p := nn.Range{Lo: g.Q + g.QLen, Hi: g.Q}
		for _, r := range used {
			if row := int(r); row >= g.Q && row < g.Q+g.QLen {
				p.Lo, p.Hi = min(p.Lo, row), max(p.Hi, row+1)
			}
		}
		if p.Lo < p.Hi {
			parts[i] = p
		}
	}
	s := &suffix{here: map[int32]int{}}
	s.seqs, s.rows = l.seqs.Rest(parts, past)
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
