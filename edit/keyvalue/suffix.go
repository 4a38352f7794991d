package keyvalue

import (
	"gorgonia.org/gorgonia"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn/graph"
)

// gather copies the suffix's rows of all, a matrix over the layout, to x.
func (s *suffix) gather(x, all []float32, cols int) {
	for i, r := range s.rows {
		copy(x[i*cols:(i+1)*cols], all[int(r)*cols:])
	}
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
