package graph

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// Embed implements nn.Ops. The table may be trainable.
func (b *Builder) Embed(table *nn.Param, ids *nn.IDs) Node {
	w, ok := b.trainable[table]
	if !ok {
		b.fail(fmt.Errorf("%s: embedding in a graph needs a trainable table; start from hidden states instead", table.Name))
		return b.Input(table.Name, len(ids.V), table.Cols)
	}
	return b.Apply(&Op{
		Name: "embed", Rows: len(ids.V), Cols: table.Cols, WRT: []bool{true},
		Run: func(_ *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = len(ids.V)
			for i, id := range ids.V {
				if int(id) < 0 || int(id) >= in[0].Rows {
					return fmt.Errorf("%s: row %d is outside the table's %d rows", table.Name, id, in[0].Rows)
				}
				copy(out.Data[i*out.Cols:(i+1)*out.Cols], in[0].Data[int(id)*out.Cols:])
			}
			return nil
		},
		Diff: func(in gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			return gorgonia.Nodes{b.Apply(&Op{
				Name: "embed.grad", Rows: table.Rows, Cols: table.Cols,
				Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					out.Rows = table.Rows
					clear(out.Data[:out.Rows*out.Cols])
					for i, id := range ids.V {
						c.Engine.AddTo(out.Data[int(id)*out.Cols:(int(id)+1)*out.Cols], in[0].Data[i*out.Cols:(i+1)*out.Cols])
					}
					return nil
				},
			}, grad)}
		},
	}, w)
}

// Linear implements nn.Ops.
func (b *Builder) Linear(l *nn.Linear, x Node) Node {
	if width(x) != l.In {
		b.fail(fmt.Errorf("%s: input of width %d for a layer of width %d", l.W.Name, width(x), l.In))
		return x
	}
	var y Node
	if w, ok := b.trainable[l.W]; ok {
		y = b.MatMul(x, w, !l.InOut)
	} else {
		y = b.frozenLinear(l, x)
	}
	if l.B != nil {
		if bias, ok := b.trainable[l.B]; ok {
			y = b.AddBias(y, bias)
		}
	}
	if b.OnLinear != nil {
		y = b.OnLinear(l, x, y)
	}
	return y
}

// frozenLinear is x·Wᵀ + b with constants; its only gradient is that of x. A
// trainable bias is left out, for Linear to add.
func (b *Builder) frozenLinear(l *nn.Linear, x Node) Node {
	_, trainBias := b.trainable[l.B]
	return b.Apply(&Op{
		Name: "linear", Cols: l.Out, WRT: []bool{true},
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			w, err := c.weight(l.W)
			if err != nil {
				return err
			}
			m, trans := l.Mat(w)
			c.Engine.Gemm(*out, kernel.Product{A: in[0], B: m, TransB: trans})
			if l.B != nil && !trainBias {
				bias, err := l.B.Values()
				if err != nil {
					return err
				}
				eager.AddBias(c.Engine, *out, bias)
			}
			return nil
		},
		Flops: gemmFlops(l.In),
		Diff: func(_ gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			return gorgonia.Nodes{b.Apply(&Op{
				Name: "linear.grad", Cols: l.In,
				Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					w, err := c.weight(l.W)
					if err != nil {
						return err
					}
					m, trans := l.Mat(w)
					c.Engine.Gemm(*out, kernel.Product{A: in[0], B: m, TransB: !trans})
					return nil
				},
				Flops: gemmFlops(l.Out),
			}, grad)}
		},
	}, x)
}

// gemmFlops counts a product whose inner dimension is k.
func gemmFlops(k int) func(out kernel.Matrix, in []kernel.Matrix) float64 {
	return func(out kernel.Matrix, _ []kernel.Matrix) float64 {
		return 2 * float64(out.Rows) * float64(out.Cols) * float64(k)
	}
}

// MatMul is x·Wᵀ (transB) or x·W. x: [rows, k]; W: [n, k] or [k, n].
func (b *Builder) MatMul(x, w Node, transB bool) Node {
	s := w.Shape()
	k, n := s[0], s[1]
	if transB {
		k, n = n, k
	}
	return b.Apply(&Op{
		Name: "matmul", Cols: n, WRT: []bool{true, true},
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			c.Engine.Gemm(*out, kernel.Product{A: in[0], B: in[1], TransB: transB})
			return nil
		},
		Flops: gemmFlops(k),
		Diff: func(in gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			dx := b.Apply(&Op{
				Name: "matmul.dx", Cols: k,
				Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					c.Engine.Gemm(*out, kernel.Product{A: in[0], B: in[1], TransB: !transB})
					return nil
				},
				Flops: gemmFlops(n),
			}, grad, in[1])
			dw := b.Apply(&Op{
				Name: "matmul.dw", Rows: s[0], Cols: s[1], Accumulates: true,
				Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					out.Rows = s[0]
					left, right := in[0], in[1] // grad, x
					if !transB {
						left, right = right, left
					}
					c.Engine.Gemm(*out, kernel.Product{A: left, TransA: true, B: right, Accumulate: c.Accumulate})
					return nil
				},
				Flops: func(_ kernel.Matrix, in []kernel.Matrix) float64 {
					return 2 * float64(in[0].Rows) * float64(s[0]) * float64(s[1])
				},
			}, grad, in[0])
			return gorgonia.Nodes{dx, dw}
		},
	}, x, w)
}

// AddBias adds bias [1, width] to every row of x.
func (b *Builder) AddBias(x, bias Node) Node {
	return b.Apply(&Op{
		Name: "bias", Cols: width(x), WRT: []bool{true, true},
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			copy(out.Data, in[0].Data[:in[0].Rows*in[0].Cols])
			eager.AddBias(c.Engine, *out, in[1].Data)
			return nil
		},
		Diff: func(_ gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			return gorgonia.Nodes{grad, b.ColumnSums(grad)}
		},
	}, x, bias)
}

// ColumnSums sums the rows of x: [1, width]. It is not differentiable.
func (b *Builder) ColumnSums(x Node) Node {
	return b.Apply(&Op{
		Name: "columnsums", Rows: 1, Cols: width(x), Accumulates: true,
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = 1
			if !c.Accumulate {
				clear(out.Data[:out.Cols])
			}
			c.Engine.ColumnSums(out.Data, in[0].Data, in[0].Rows, in[0].Cols)
			return nil
		},
	}, x)
}

// LayerNorm implements nn.Ops.
func (b *Builder) LayerNorm(n *nn.Norm, x Node) Node { return b.norm(n, x, layerNorm) }

// RMSNorm implements nn.Ops.
func (b *Builder) RMSNorm(n *nn.Norm, x Node) Node { return b.norm(n, x, rmsNorm) }

// normKernels are the three kernels of a normalisation.
type normKernels struct {
	name      string
	forward   func(e *kernel.Engine, y, x, gain, bias []float32, eps float32, rows, cols int)
	grad      func(e *kernel.Engine, dx, x, gain, dy []float32, eps float32, rows, cols int)
	paramGrad func(e *kernel.Engine, dgain, dbias, x, dy []float32, eps float32, rows, cols int)
}

var layerNorm = normKernels{"layernorm", (*kernel.Engine).LayerNorm, (*kernel.Engine).LayerNormGrad, (*kernel.Engine).LayerNormParamGrad}

var rmsNorm = normKernels{
	"rmsnorm",
	func(e *kernel.Engine, y, x, gain, _ []float32, eps float32, rows, cols int) {
		e.RMSNorm(y, x, gain, eps, rows, cols)
	},
	(*kernel.Engine).RMSNormGrad,
	func(e *kernel.Engine, dgain, _, x, dy []float32, eps float32, rows, cols int) {
		e.RMSNormParamGrad(dgain, x, dy, eps, rows, cols)
	},
}

// norm normalises rows. With trainable parameters these are inputs: gain, and
// bias if there is one.
func (b *Builder) norm(n *nn.Norm, x Node, k normKernels) Node {
	in := gorgonia.Nodes{x}
	wrt := []bool{true}
	gainNode, trained := b.trainable[n.Gain]
	if trained {
		in, wrt = append(in, gainNode), append(wrt, true)
		if n.Bias != nil {
			in, wrt = append(in, b.Trainable(n.Bias)), append(wrt, true)
		}
	}
	params := func(in []kernel.Matrix) (gain, bias []float32, err error) {
		if trained {
			if n.Bias != nil {
				bias = in[2].Data
			}
			return in[1].Data, bias, nil
		}
		if gain, err = n.Gain.Values(); err == nil && n.Bias != nil {
			bias, err = n.Bias.Values()
		}
		return gain, bias, err
	}
	cols, group := width(x), n.Gain.Cols // of an RMS norm of heads, a row has several groups
	return b.Apply(&Op{
		Name: k.name, Cols: cols, WRT: wrt,
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			gain, bias, err := params(in)
			if err != nil {
				return err
			}
			k.forward(c.Engine, out.Data, in[0].Data, gain, bias, n.Eps, in[0].Rows*cols/group, group)
			return nil
		},
		Diff: func(in gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			args := append(gorgonia.Nodes{grad, in[0]}, in[1:]...)
			grads := gorgonia.Nodes{b.Apply(&Op{
				Name: k.name + ".grad", Cols: cols,
				Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					gain, _, err := params(in[1:])
					if err != nil {
						return err
					}
					k.grad(c.Engine, out.Data, in[1].Data, gain, in[0].Data, n.Eps, in[0].Rows*cols/group, group)
					return nil
				},
			}, args...)}
			if !trained {
				return grads
			}
			for i := range in[1:] {
				grads = append(grads, b.Apply(&Op{
					Name: k.name + ".params", Rows: 1, Cols: group,
					Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
						out.Rows = 1
						both := c.Scratch(2 * group)
						clear(both)
						k.paramGrad(c.Engine, both[:group], both[group:], in[1].Data, in[0].Data, n.Eps, in[0].Rows*cols/group, group)
						copy(out.Data[:group], both[i*group:(i+1)*group])
						return nil
					},
				}, grad, in[0]))
			}
			return grads
		},
	}, in...)
}

// Rotate implements nn.Ops.
func (b *Builder) Rotate(x Node, heads int, r *kernel.Rotation, s *nn.Sequences) Node {
	rotate := func(name string, inverse bool) *Op {
		return &Op{
			Name: name, Cols: width(x),
			Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
				c.Engine.Rotate(out.Data, in[0].Data, heads, s.Pos, r, inverse, in[0].Rows)
				return nil
			},
		}
	}
	p := rotate("rotate", false)
	p.WRT = []bool{true}
	p.Diff = func(_ gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
		return gorgonia.Nodes{b.Apply(rotate("rotate.grad", true), grad)}
	}
	return b.Apply(p, x)
}

// errGrows: a graph may be run any number of times on the same rows.
var errGrows = errors.New("a graph reads keys of earlier rows and keeps none")

// Attend implements nn.Ops. What s has from earlier rows is constant.
func (b *Builder) Attend(layer int, q, k, v Node, a kernel.Attention, s *nn.Sequences) Node {
	qw, kw := width(q), width(k)
	return b.Apply(&Op{
		Name: "attend", Cols: qw, WRT: []bool{true, true, true},
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			if s.Grows() {
				return errGrows
			}
			keys, values := s.Seen(layer, in[1], in[2], c.Scratch)
			c.Engine.Attend(out.Data, in[0].Data, keys, values, a, s.Segs)
			return nil
		},
		Diff: func(in gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			// one op writes dq, dk and dv side by side; each is then cut out
			all := b.Apply(&Op{
				Name: "attend.grad", Cols: qw + 2*kw,
				Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					n := in[0].Rows
					dq, dk, dv := out.Data[:n*qw], out.Data[n*qw:n*(qw+kw)], out.Data[n*(qw+kw):n*(qw+2*kw)]
					if s.Keys == nil {
						c.Engine.AttendGrad(dq, dk, dv, in[1].Data, in[2].Data, in[3].Data, in[0].Data, a, s.Segs)
						return nil
					}
					all := len(s.Keys) * kw
					room := c.Scratch(4 * all)
					keys, values := s.Seen(layer, in[2], in[3], func(int) []float32 { return room[2*all:] })
					clear(room[:2*all]) // rows in no segment get nothing
					c.Engine.AttendGrad(dq, room[:all], room[all:2*all], in[1].Data, keys, values, in[0].Data, a, s.Segs)
					s.Return(c.Engine, dk, room[:all], kw)
					s.Return(c.Engine, dv, room[all:2*all], kw)
					return nil
				},
			}, grad, in[0], in[1], in[2])
			cut := func(lo, w int) Node {
				return b.Apply(&Op{
					Name: "attend.cut", Cols: w,
					Run: func(_ *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
						n := in[0].Rows
						copy(out.Data, in[0].Data[n*lo:n*(lo+w)])
						return nil
					},
				}, all)
			}
			return gorgonia.Nodes{cut(0, qw), cut(qw, kw), cut(qw+kw, kw)}
		},
	}, q, k, v)
}

// Columns implements nn.Ops.
func (b *Builder) Columns(x Node, idx []int32) Node {
	w := width(x)
	return b.Apply(&Op{
		Name: "columns", Cols: len(idx), WRT: []bool{true},
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			eager.PickColumns(c.Engine, *out, in[0], idx)
			return nil
		},
		Diff: func(_ gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			return gorgonia.Nodes{b.Apply(&Op{
				Name: "columns.grad", Cols: w,
				Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					c.Engine.For(in[0].Rows, 8, func(lo, hi int) {
						for i := lo; i < hi; i++ {
							dst, src := out.Data[i*w:(i+1)*w], in[0].Data[i*len(idx):(i+1)*len(idx)]
							clear(dst)
							for j, col := range idx {
								dst[col] += src[j]
							}
						}
					})
					return nil
				},
			}, grad)}
		},
	}, x)
}

// Concat puts the columns of y behind those of x.
func (b *Builder) Concat(x, y Node) Node {
	xw, yw := width(x), width(y)
	return b.Apply(&Op{
		Name: "concat", Cols: xw + yw, WRT: []bool{true, true},
		Run: func(_ *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			for i := range in[0].Rows {
				row := out.Data[i*out.Cols : (i+1)*out.Cols]
				copy(row, in[0].Data[i*xw:(i+1)*xw])
				copy(row[xw:], in[1].Data[i*yw:(i+1)*yw])
			}
			return nil
		},
		Diff: func(_ gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			return gorgonia.Nodes{b.Columns(grad, Span(0, xw)), b.Columns(grad, Span(xw, xw+yw))}
		},
	}, x, y)
}

// Span lists the numbers lo to hi−1.
func Span(lo, hi int) []int32 {
	idx := make([]int32, hi-lo)
	for i := range idx {
		idx[i] = int32(lo + i)
	}
	return idx
}

// Rows implements nn.Ops.
func (b *Builder) Rows(x Node, rows *nn.RowSet) Node {
	b.space = &rows.Tasks
	w := width(x)
	return b.Apply(&Op{
		Name: "rows", Rows: rows.Cap, Cols: w, WRT: []bool{true},
		Run: func(_ *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = len(rows.V)
			for i, r := range rows.V {
				copy(out.Data[i*w:(i+1)*w], in[0].Data[int(r)*w:(int(r)+1)*w])
			}
			return nil
		},
		Diff: func(in gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			return gorgonia.Nodes{b.Apply(&Op{
				Name: "rows.grad", Rows: in[0].Shape()[0], Cols: w,
				Run: func(_ *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					out.Rows = in[1].Rows
					clear(out.Data[:out.Rows*w])
					for i, r := range rows.V {
						copy(out.Data[int(r)*w:(int(r)+1)*w], in[0].Data[i*w:(i+1)*w])
					}
					return nil
				},
			}, grad, in[0])}
		},
	}, x)
}

// Activate implements nn.Ops.
func (b *Builder) Activate(kind kernel.Activation, x Node) Node {
	return b.Apply(&Op{
		Name: "activate", Cols: width(x), WRT: []bool{true},
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			n := in[0].Rows * in[0].Cols
			c.Engine.Activate(kind, out.Data[:n], in[0].Data[:n])
			return nil
		},
		Diff: func(in gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			return gorgonia.Nodes{b.Apply(&Op{
				Name: "activate.grad", Cols: width(x),
				Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					n := in[0].Rows * in[0].Cols
					c.Engine.ActivateGrad(kind, out.Data[:n], in[1].Data[:n], in[0].Data[:n])
					return nil
				},
			}, grad, in[0])}
		},
	}, x)
}

// Add implements nn.Ops.
func (b *Builder) Add(x, y Node) Node {
	return b.Apply(&Op{
		Name: "add", Cols: width(x), WRT: []bool{true, true}, Run: addRun,
		Diff: func(_ gorgonia.Nodes, _, grad Node) gorgonia.Nodes { return gorgonia.Nodes{grad, grad} },
	}, x, y)
}

func addRun(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
	n := in[0].Rows * in[0].Cols
	c.Engine.Add(out.Data[:n], in[0].Data[:n], in[1].Data[:n])
	return nil
}

// Mul implements nn.Ops.
func (b *Builder) Mul(x, y Node) Node {
	mul := func() *Op {
		return &Op{Name: "mul", Cols: width(x), Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			n := in[0].Rows * in[0].Cols
			c.Engine.Mul(out.Data[:n], in[0].Data[:n], in[1].Data[:n])
			return nil
		}}
	}
	p := mul()
	p.WRT = []bool{true, true}
	p.Diff = func(in gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
		return gorgonia.Nodes{b.Apply(mul(), grad, in[1]), b.Apply(mul(), grad, in[0])}
	}
	return b.Apply(p, x, y)
}

// Scale implements nn.Ops.
func (b *Builder) Scale(x Node, by float32) Node {
	scale := func() *Op {
		return &Op{Name: "scale", Cols: width(x), Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			n := in[0].Rows * in[0].Cols
			copy(out.Data[:n], in[0].Data[:n])
			c.Engine.Scale(out.Data[:n], by)
			return nil
		}}
	}
	p := scale()
	p.WRT = []bool{true}
	p.Diff = func(_ gorgonia.Nodes, _, grad Node) gorgonia.Nodes { return gorgonia.Nodes{b.Apply(scale(), grad)} }
	return b.Apply(p, x)
}

// Tap implements nn.Ops.
func (b *Builder) Tap(p nn.Place, x Node) Node {
	if b.OnTap != nil {
		return b.OnTap(p, x)
	}
	return x
}

// Scope implements nn.Ops.
func (b *Builder) Scope(fn func() Node) Node { return fn() }
