package lm

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// Embed looks up what enters block 0: the token embeddings of ids, plus the
// learned positions of s where the architecture has them: [rows, Width]. It
// announces Embedding.
//
// The list of positions is made at the call: a graph built with Embed serves
// the positions it was built with; EmbedAt reads them anew.
func Embed[T any](o nn.Ops[T], m *Model, ids *nn.IDs, s *nn.Sequences) T {
	return EmbedAt(o, m, ids, &nn.IDs{V: m.PositionRows(nil, s)})
}

// EmbedAt is Embed with the list of PositionRows, which a graph reads at each
// run.
func EmbedAt[T any](o nn.Ops[T], m *Model, ids, at *nn.IDs) T {
	return o.Scope(func() T {
		tokens, positions, _ := m.net.embeddings()
		x := o.Embed(tokens, ids)
		if by := m.net.embedScale(); by != 0 {
			x = o.Scale(x, by)
		}
		x = o.Tap(nn.Place{Layer: -1, At: nn.Embedding}, x)
		if positions == nil {
			return x
		}
		return o.Add(x, o.Embed(positions, at))
	})
}

// PositionRows appends the rows of the table of learned positions that s stands
// at to dst; none where the architecture has no table.
func (m *Model) PositionRows(dst []int32, s *nn.Sequences) []int32 {
	_, positions, offset := m.net.embeddings()
	if positions == nil {
		return dst
	}
	for _, p := range s.Pos {
		dst = append(dst, p+offset)
	}
	return dst
}

// Blocks runs blocks [from, to) on x: [rows, Width]. If want is not nil, the
// last block of the model goes on with the rows of want alone after its
// attention, and the result is [len(want.V), Width]. Each block announces
// BlockIn, AttnOut (all rows), MLPIn, MLPAct, MLPOut and BlockOut (wanted rows).
func Blocks[T any](o nn.Ops[T], m *Model, x T, from, to int, s *nn.Sequences, want *nn.RowSet) T {
	for i := from; i < to; i++ {
		var cut *nn.RowSet
		if i == m.Config.Layers-1 {
			cut = want
		}
		x = block(o, m.net, i, x, s, cut)
	}
	return x
}

// FinalNorm is the norm behind the last block; it announces Final.
func FinalNorm[T any](o nn.Ops[T], m *Model, x T) T {
	switch norm, rms := m.net.finalNorm(); {
	case norm == nil:
	case rms:
		x = o.RMSNorm(norm, x)
	default:
		x = o.LayerNorm(norm, x)
	}
	return o.Tap(nn.Place{Layer: -1, At: nn.Final}, x)
}

// Forward is Embed, all Blocks and FinalNorm: [rows, Width], or the rows of
// want alone.
func Forward[T any](o nn.Ops[T], m *Model, ids *nn.IDs, s *nn.Sequences, want *nn.RowSet) T {
	x := Embed(o, m, ids, s)
	x = Blocks(o, m, x, 0, m.Config.Layers, s, want)
	return FinalNorm(o, m, x)
}

// Logits multiplies what FinalNorm gave, [rows, Width], by the head:
// [rows, Vocab].
func (m *Model) Logits(o *eager.Ops, final kernel.Matrix) kernel.Matrix {
	return o.Linear(m.Head(), final)
}

// keep is the rows of want of each value, or the values as they are.
func keep[T any](o nn.Ops[T], want *nn.RowSet, x, a T) (T, T) {
	if want == nil {
		return x, a
	}
	return o.Rows(x, want), o.Rows(a, want)
}

// plainMLP is down(act(up(h))) for h [rows, Width], already normalised.
func plainMLP[T any](o nn.Ops[T], i int, act kernel.Activation, up, down *nn.Linear, h T) T {
	h = o.Tap(nn.Place{Layer: i, At: nn.MLPIn}, h)
	h = o.Activate(act, o.Linear(up, h))
	h = o.Tap(nn.Place{Layer: i, At: nn.MLPAct}, h)
	return o.Tap(nn.Place{Layer: i, At: nn.MLPOut}, o.Linear(down, h))
}
