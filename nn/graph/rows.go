package graph

import "keyhole.example/keyhole/internal/kernel"

// SumRows is the sum of some rows of x, [1, cols], in their order: the gradient
// of a vector that all of them were given.
func (b *Builder) SumRows(x Node, rows []int32) Node {
	n := x.Shape()[1]
	return b.Apply(&Op{
		Name: "sumrows", Rows: 1, Cols: n,
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = 1
			clear(out.Data[:n])
			for _, r := range rows {
				c.Engine.AddTo(out.Data[:n], in[0].Data[int(r)*n:int(r+1)*n])
			}
			return nil
		},
	}, x)
}
