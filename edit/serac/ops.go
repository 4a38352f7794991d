package serac

import (
	"math"

	"keyhole.example/keyhole/encoder"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// pool is a vector for each text of seq, from its states x [rows, width]:
// [texts, width].
func pool(b *graph.Builder, how string, x graph.Node, seq *nn.Sequences, first *nn.RowSet) graph.Node {
	if how == encoder.First {
		return b.Pick(x, first)
	}
	d := x.Shape()[1]
	return b.Apply(&graph.Op{Rows: first.Cap, Cols: d, WRT: []bool{true}, Kind: &graph.Kind{
		Name: "pool",
		Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = len(seq.Segs)
			for i, s := range seq.Segs {
				unit(out.Data[i*d:(i+1)*d], in[0], s)
			}
			return nil
		},
		Grad: func(_ *graph.Builder, _ *graph.Op, in []graph.Node, _, grad graph.Node) []graph.Node {
			return []graph.Node{b.Apply(&graph.Op{Rows: in[0].Shape()[0], Cols: d, Kind: &graph.Kind{
				Name: "pool.grad",
				Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
					out.Rows = in[1].Rows
					u := make([]float32, d)
					for i, s := range seq.Segs {
						norm := unit(u, in[1], s)
						g := in[0].Data[i*d : (i+1)*d]
						along := 0.0
						for j := range u {
							along += float64(u[j]) * float64(g[j])
						}
						first := out.Data[s.Q*d : (s.Q+1)*d]
						for j := range first {
							first[j] = float32((float64(g[j]) - along*float64(u[j])) / (norm * float64(s.QLen)))
						}
						for r := 1; r < s.QLen; r++ {
							copy(out.Data[(s.Q+r)*d:(s.Q+r+1)*d], first)
						}
					}
					return nil
				},
			}}, grad, in[0])}
		},
	}}, x)
}

// unit writes the mean of a text's rows of x, divided by its norm, and returns the
// norm.
func unit(dst []float32, x kernel.Matrix, s kernel.Segment) float64 {
	sums := make([]float64, x.Cols)
	for r := s.Q; r < s.Q+s.QLen; r++ {
		for j, v := range x.Data[r*x.Cols : (r+1)*x.Cols] {
			sums[j] += float64(v)
		}
	}
	square := 0.0
	for j := range sums {
		sums[j] /= float64(s.QLen)
		square += sums[j] * sums[j]
	}
	norm := max(math.Sqrt(square), 1e-12)
	for j := range dst {
		dst[j] = float32(sums[j] / norm)
	}
	return norm
}

// alike is s of each pair of vectors e [texts, width]: [pairs, 1].
func alike(b *graph.Builder, m measure, e graph.Node, pairs *[]pair, most int) graph.Node {
	d := e.Shape()[1]
	row := func(x kernel.Matrix, i int) []float32 { return x.Data[i*d : (i+1)*d] }
	return b.Apply(&graph.Op{Rows: most, Cols: 1, WRT: []bool{true}, Kind: &graph.Kind{
		Name: "alike",
		Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = len(*pairs)
			for i, p := range *pairs {
				out.Data[i] = float32(m.log(row(in[0], p.text), row(in[0], p.edit)))
			}
			return nil
		},
		Grad: func(_ *graph.Builder, _ *graph.Op, in []graph.Node, _, grad graph.Node) []graph.Node {
			return []graph.Node{b.Apply(&graph.Op{Rows: in[0].Shape()[0], Cols: d, Kind: &graph.Kind{
				Name: "alike.grad",
				Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
					out.Rows = in[1].Rows
					clear(out.Data[:out.Rows*d])
					for i, p := range *pairs {
						m.addGrad(row(in[1], p.text), row(in[1], p.edit), row(*out, p.text), row(*out, p.edit), float64(in[0].Data[i]))
					}
					return nil
				},
			}}, grad, in[0])}
		},
	}}, e)
}

// scopeLoss is each pair's weighted loss, from s: −s in scope, −ln(1 − eˢ) out of
// it (Mitchell et al. 2022, §3.2).
func (l *Learner) scopeLoss(b *graph.Builder, s graph.Node, pairs *[]pair) graph.Node {
	return b.Apply(&graph.Op{Cols: 1, WRT: []bool{true}, Kind: &graph.Kind{
		Name: "scope",
		Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			for i, p := range *pairs {
				loss, _ := l.pairLoss(float64(in[0].Data[i]), p.in)
				out.Data[i] = p.weight * float32(loss)
			}
			return nil
		},
		Grad: func(_ *graph.Builder, _ *graph.Op, in []graph.Node, _, grad graph.Node) []graph.Node {
			return []graph.Node{b.Apply(&graph.Op{Cols: 1, Kind: &graph.Kind{
				Name: "scope.grad",
				Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
					for i, p := range *pairs {
						_, slope := l.pairLoss(float64(in[1].Data[i]), p.in)
						out.Data[i] = in[0].Data[i] * p.weight * float32(slope)
					}
					return nil
				},
			}}, grad, in[0])}
		},
	}}, s)
}

// floor keeps logarithms finite: the smallest step of a float32 at 1.
const floor = 1.1920928955078125e-07

// soften bounds the slope where an unrelated text lies on an edit.
const soften = 1e-3

// pairLoss is the loss of s, and its slope.
func (l *Learner) pairLoss(s float64, in bool) (loss, slope float64) {
	if in {
		return -s, -1
	}
	p := math.Exp(s)
	rest := 1 - p
	switch {
	case !l.Reference:
		rest += soften
	case rest == 0:
		rest = floor
	}
	return -math.Log(rest), p / rest
}

// mixed is the loss of each row under the mixture of the base model's and the
// counterfactual model's probabilities: [rows, 4], which are the weighted loss,
// the loss, whether the row is right, and the slope of the weighted loss over s.
func mixed(b *graph.Builder, logits, s graph.Node, m *mixture) graph.Node {
	vocab := logits.Shape()[1]
	rows := b.Apply(&graph.Op{Cols: 4, Kind: &graph.Kind{
		Name: "mix",
		Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			c.Engine.For(in[0].Rows, 1, func(lo, hi int) {
				for i := lo; i < hi; i++ {
					r := m.row(i, in[0].Data[i*vocab:(i+1)*vocab], in[1].Data[m.pair[i]], nil)
					w := m.labels.Weight[i]
					copy(out.Data[4*i:], []float32{w * float32(r.loss), float32(r.loss), 0, w * float32(r.slope)})
					if r.right {
						out.Data[4*i+2] = 1
					}
				}
			})
			return nil
		},
	}}, logits, s)
	return b.Apply(&graph.Op{Cols: 4, WRT: []bool{true, true, false}, Kind: &graph.Kind{ // its first column is the loss
		Name: "mix.loss",
		Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = in[2].Rows
			copy(out.Data, in[2].Data[:4*in[2].Rows])
			return nil
		},
		Grad: func(_ *graph.Builder, _ *graph.Op, in []graph.Node, _, grad graph.Node) []graph.Node {
			dh := b.Apply(&graph.Op{Cols: vocab, Kind: &graph.Kind{
				Name: "mix.dlogits",
				Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
					out.Rows = in[1].Rows
					c.Engine.For(out.Rows, 1, func(lo, hi int) {
						for i := lo; i < hi; i++ {
							dst := out.Data[i*vocab : (i+1)*vocab]
							m.row(i, in[1].Data[i*vocab:(i+1)*vocab], in[2].Data[m.pair[i]], dst)
							by := m.labels.Weight[i] * in[0].Data[4*i]
							for j := range dst {
								dst[j] *= by
							}
						}
					})
					return nil
				},
			}}, grad, in[0], in[1])
			ds := b.Apply(&graph.Op{Rows: in[1].Shape()[0], Cols: 1, Kind: &graph.Kind{
				Name: "mix.ds",
				Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
					out.Rows = in[1].Rows
					clear(out.Data[:out.Rows])
					for i, p := range m.pair {
						out.Data[p] += in[0].Data[4*i] * in[2].Data[4*i+3]
					}
					return nil
				},
			}}, grad, in[1], in[2])
			return []graph.Node{dh, ds, nil}
		},
	}}, logits, s, rows)
}
