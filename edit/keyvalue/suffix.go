package keyvalue

import (
	"gorgonia.org/gorgonia"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// builder builds the blocks behind the edited one over a suffix: attention reads
// the keys and values of earlier rows from what was kept.
type builder struct {
	*graph.Builder
	k *kept
	s *suffix
}

var _ nn.Ops[graph.Node] = (*builder)(nil)

// scatter writes rows of x to their places in the layout.
func (s *suffix) scatter(all []float32, x kernel.Matrix) {
	for i, r := range s.rows {
		copy(all[int(r)*x.Cols:int(r+1)*x.Cols], x.Data[i*x.Cols:])
	}
}

// gather is the reverse of scatter.
func (s *suffix) gather(x, all []float32, cols int) {
	for i, r := range s.rows {
		copy(x[i*cols:(i+1)*cols], all[int(r)*cols:])
	}
}

// Attend implements nn.Ops. The kept matrices of the block hold the suffix's own
// keys and values too, from the run's forward pass on.
func (b *builder) Attend(layer int, q, k, v graph.Node, a kernel.Attention, _ *nn.Sequences) graph.Node {
	keys, values := b.k.keys[layer-b.k.from], b.k.values[layer-b.k.from]
	qw, kw := q.Shape()[1], k.Shape()[1]
	return b.Apply(&graph.Op{
		Name: "attend.kept", Cols: qw, WRT: []bool{true, true, true},
		Run: func(c *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			b.s.scatter(keys, in[1])
			b.s.scatter(values, in[2])
			c.Engine.Attend(out.Data, in[0].Data, keys, values, a, b.s.seqs.Segs)
			return nil
		},
		Diff: func(in gorgonia.Nodes, _, grad graph.Node) gorgonia.Nodes {
			// dq, dk and dv one after another, each cut out below.
			all := b.Apply(&graph.Op{
				Name: "attend.kept.grad", Cols: qw + 2*kw,
				Run: func(c *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					n := in[0].Rows
					both := c.Scratch(2 * len(keys))
					clear(both) // rows in no segment stay as they are
					dk, dv := both[:len(keys)], both[len(keys):]
					c.Engine.AttendGrad(out.Data[:n*qw], dk, dv, in[1].Data, keys, values, in[0].Data, a, b.s.seqs.Segs)
					b.s.gather(out.Data[n*qw:n*(qw+kw)], dk, kw)
					b.s.gather(out.Data[n*(qw+kw):n*(qw+2*kw)], dv, kw)
					return nil
				},
			}, grad, in[0], in[1], in[2])
			cut := func(lo, w int) graph.Node {
				return b.Apply(&graph.Op{
					Name: "attend.kept.cut", Cols: w,
					Run: func(_ *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
						n := in[0].Rows
						copy(out.Data[:n*w], in[0].Data[n*lo:n*(lo+w)])
						return nil
					},
				}, all)
			}
			return gorgonia.Nodes{cut(0, qw), cut(qw, kw), cut(qw+kw, kw)}
		},
	}, q, k, v)
}

// inject adds delta, [1, width], to the rows of x.
func inject(b *graph.Builder, x, delta graph.Node, rows []int32) graph.Node {
	d := x.Shape()[1]
	return b.Apply(&graph.Op{
		Name: "inject", Cols: d, WRT: []bool{false, true},
		Run: func(c *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			copy(out.Data, in[0].Data[:in[0].Rows*d])
			for _, r := range rows {
				c.Engine.AddTo(out.Data[int(r)*d:int(r+1)*d], in[1].Data[:d])
			}
			return nil
		},
		Diff: func(_ gorgonia.Nodes, _, grad graph.Node) gorgonia.Nodes {
			return gorgonia.Nodes{nil, b.SumRows(grad, rows)}
		},
	}, x, delta)
}
