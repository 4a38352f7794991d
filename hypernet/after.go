package hypernet

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn/graph"
)

// buildAfter adds z + s⊙max(q + b, 0) + o, with s and o of the row's mode, to the
// graph (Tan et al. 2024, and its reference implementation). The clamp's slope is
// 1 at 0.
func (l layer) buildAfter(b *graph.Builder, z, q graph.Node, f *Layout) graph.Node {
	d := l.u.Rows
	in := []graph.Node{z, q, b.Trainable(l.bias), b.Trainable(l.scale), b.Trainable(l.shift)}
	return b.Apply(&graph.Op{Cols: d, WRT: []bool{l.residual, true, true, true, true}, Kind: &graph.Kind{
		Name: "layer.after",
		Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = in[1].Rows
			l.modes(c.Engine, f, in[1], in[2:], func(i int, q, bias, scale, shift []float32) {
				dst := out.Data[i*d : (i+1)*d]
				for j, x := range q {
					if x += bias[j]; x < 0 && !l.linear {
						x = 0
					}
					dst[j] = scale[j]*x + shift[j]
				}
				if l.residual {
					c.Engine.AddTo(dst, in[0].Data[i*d:(i+1)*d])
				}
			})
			return nil
		},
		Grad: func(_ *graph.Builder, _ *graph.Op, in []graph.Node, _, grad graph.Node) []graph.Node {
			args := append([]graph.Node{grad}, in[1:]...)
			dq := b.Apply(&graph.Op{Cols: d, Kind: &graph.Kind{
				Name: "layer.after.dq",
				Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
					out.Rows = in[0].Rows
					l.modes(c.Engine, f, in[1], in[2:], func(i int, q, bias, scale, _ []float32) {
						g, dst := in[0].Data[i*d:(i+1)*d], out.Data[i*d:(i+1)*d]
						for j, x := range q {
							if dst[j] = g[j] * scale[j]; x+bias[j] < 0 && !l.linear {
								dst[j] = 0
							}
						}
					})
					return nil
				},
			}}, args...)
			return []graph.Node{grad, dq, b.ColumnSums(dq), l.afterSums(b, f, "layer.after.dscale", true, args), l.afterSums(b, f, "layer.after.dshift", false, args)}
		},
	}}, in...)
}

// modes calls fn for every row of q with the parameters of its mode. params: bias,
// scale, shift.
func (l layer) modes(k *kernel.Engine, f *Layout, q kernel.Matrix, params []kernel.Matrix, fn func(i int, q, bias, scale, shift []float32)) {
	d := q.Cols
	k.For(q.Rows, 4, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			m := int(f.Modes[i]) * d
			fn(i, q.Data[i*d:(i+1)*d], params[0].Data, params[1].Data[m:m+d], params[2].Data[m:m+d])
		}
	})
}

// afterSums is the gradient of the scales, or of the shifts: [modes, D].
func (l layer) afterSums(b *graph.Builder, f *Layout, name string, scales bool, args []graph.Node) graph.Node {
	modes, d := l.scale.Rows, l.scale.Cols
	return b.Apply(&graph.Op{Rows: modes, Cols: d, Kind: &graph.Kind{
		Name: name, Accumulates: true,
		Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = modes
			if !c.Accumulate {
				clear(out.Data[:modes*d])
			}
			bias := in[2].Data
			c.Engine.For(d, columnBlock, func(lo, hi int) {
				for m, r := range f.Blocks {
					sum := out.Data[m*d : (m+1)*d]
					for i := r.Lo; i < r.Hi; i++ {
						g, q := in[0].Data[i*d:(i+1)*d], in[1].Data[i*d:(i+1)*d]
						for j := lo; j < hi; j++ {
							x := float32(1)
							if scales {
								if x = q[j] + bias[j]; x < 0 && !l.linear {
									x = 0
								}
							}
							sum[j] += g[j] * x
						}
					}
				}
			})
			return nil
		},
	}}, args...)
}
