package hypernet

import (
	"gorgonia.org/gorgonia"

	"keyhole/internal/kernel"
	"keyhole/nn"
	"keyhole/nn/graph"
)

// layer is z ← z + max(s⊙(U·V·z + b) + o, 0), with s and o of the row's mode.
type layer struct {
	u, v, bias   *nn.Param // [D, r], [r, D], [1, D]
	scale, shift *nn.Param // [modes, D], or nil
	residual     bool      // false: without "z +" (init xavier)
	linear       bool      // true: without the clamp
}

func stack(b *graph.Builder, layers []layer, z graph.Node, f *Layout) graph.Node {
	for _, l := range layers {
		z = l.build(b, z, f)
	}
	return z
}

func (l layer) build(b *graph.Builder, z graph.Node, f *Layout) graph.Node {
	h := b.MatMul(z, b.Trainable(l.v), true)
	q := b.MatMul(h, b.Trainable(l.u), true)
	in := []graph.Node{z, q, b.Trainable(l.bias)}
	wrt := []bool{l.residual, true, true}
	if l.scale != nil {
		in, wrt = append(in, b.Trainable(l.scale), b.Trainable(l.shift)), append(wrt, true, true)
	}
	d := l.u.Rows
	return b.Apply(&graph.Op{
		Name: "layer", Cols: d, WRT: wrt,
		Run: func(c *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			z := in[0].Data
			l.rows(c.Engine, f, in[1:], func(i int, q, bias, s, o []float32) {
				dst, src := out.Data[i*d:(i+1)*d], z[i*d:(i+1)*d]
				for j := range dst {
					p := q[j] + bias[j]
					if s != nil {
						p = s[j]*p + o[j]
					}
					if p < 0 && !l.linear {
						p = 0
					}
					if l.residual {
						p += src[j]
					}
					dst[j] = p
				}
			})
			return nil
		},
		Diff: func(in gorgonia.Nodes, _, grad graph.Node) gorgonia.Nodes {
			args := append([]graph.Node{grad}, in[1:]...)
			dq := b.Apply(&graph.Op{
				Name: "layer.dq", Cols: d,
				Run: func(c *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					l.rows(c.Engine, f, in[1:], func(i int, q, bias, s, o []float32) {
						dst, g := out.Data[i*d:(i+1)*d], in[0].Data[i*d:(i+1)*d]
						for j := range dst {
							dst[j] = l.slope(q[j]+bias[j], s, o, j) * g[j]
							if s != nil {
								dst[j] *= s[j]
							}
						}
					})
					return nil
				},
			}, args...)
			grads := gorgonia.Nodes{grad, dq, b.ColumnSums(dq)}
			if l.scale != nil {
				grads = append(grads, l.modeSums(b, f, "layer.dscale", true, args), l.modeSums(b, f, "layer.dshift", false, args))
			}
			return grads
		},
	}, in...)
}

// slope is the derivative of the clamp at column j: 1 where the clamped value
// is at least 0, 0 included, as the reference has it; else 0.
func (l layer) slope(p float32, s, o []float32, j int) float32 {
	if s != nil {
		p = s[j]*p + o[j]
	}
	if p >= 0 || l.linear {
		return 1
	}
	return 0
}

// rows calls fn for every row with its q and the parameters of its mode.
// params: q [rows, D], bias, and scale and shift if there are any.
func (l layer) rows(e *kernel.Engine, f *Layout, params []kernel.Matrix, fn func(i int, q, bias, s, o []float32)) {
	q, bias := params[0], params[1].Data
	d := q.Cols
	e.For(q.Rows, 4, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			var s, o []float32
			if l.scale != nil {
				m := int(f.Modes[i])
				s, o = params[2].Data[m*d:(m+1)*d], params[3].Data[m*d:(m+1)*d]
			}
			fn(i, q.Data[i*d:(i+1)*d], bias, s, o)
		}
	})
}

// modeSums is the gradient of the scales or of the shifts: for each mode the
// sum over its rows of slope·grad, times q+b for the scales. [modes, D].
func (l layer) modeSums(b *graph.Builder, f *Layout, name string, scales bool, args []graph.Node) graph.Node {
	modes, d := l.scale.Rows, l.scale.Cols
	return b.Apply(&graph.Op{
		Name: name, Rows: modes, Cols: d, Accumulates: true,
		Run: func(c *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = modes
			if !c.Accumulate {
				clear(out.Data[:modes*d])
			}
			g, q, bias := in[0].Data, in[1].Data, in[2].Data
			c.Engine.For(d, 64, func(lo, hi int) {
				for i := range in[1].Rows {
					m := int(f.Modes[i])
					s, o := in[3].Data[m*d:(m+1)*d], in[4].Data[m*d:(m+1)*d]
					for j := lo; j < hi; j++ {
						p := q[i*d+j] + bias[j]
						x := l.slope(p, s, o, j) * g[i*d+j]
						if scales {
							x *= p
						}
						out.Data[m*d+j] += x
					}
				}
			})
			return nil
		},
	}, args...)
}
