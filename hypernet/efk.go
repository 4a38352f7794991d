package hypernet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// reading is the kind of De Cao et al. 2021 (KE; efk in the MEND repository): a
// network that reads the edit's text makes masks for the gradient G of each
// weight, in the weight's stored shape [s0, s1]:
//
//	ΔW = max_scale·σ(e)·(A⊙G + B),   A = softmax(row_a)⊗col_a, B = softmax(row_b)⊗col_b
//
// As G is a sum of rows' outer products, so is A⊙G, with masked rows; B is one row
// more. So the update stays of low rank.
type reading struct{}

func (reading) traits() traits { return traits{sums: true, whole: true, reads: true} }

func (reading) refuse([]*Group) error { return nil }

// conditioner makes the masks of one weight of a text's vector: two weight-normed
// layers with tanh between.
type conditioner struct {
	v, g, bias [2]*nn.Param // [rows, cols], [rows, 1], [1, rows]
	inOut      bool         // stored as [in, out]
}

func (reading) describe(n *Net, g *Group, c Config) []spec {
	var specs []spec
	if g == n.Groups[0] {
		n.reader = &encoder{}
		specs = n.reader.describe(c, n.words)
	}
	g.masks = make([]conditioner, len(g.Sites))
	for m, i := range g.Sites {
		k := &g.masks[m]
		k.inOut = n.Sites[i].Linear.InOut
		rows, cols := []int{c.ConditionHidden, 2*(g.In+g.Out) + 1}, []int{c.ConditionDim, c.ConditionHidden}
		for l := range k.v {
			p := fmt.Sprintf("conditioners.%s_conditioner.conditioners.%d.", strings.ReplaceAll(n.Sites[i].Name, ".", "_"), 2*l)
			specs = append(specs, spec{p + "weight_v", rows[l], cols[l], &k.v[l]}, spec{p + "weight_g", rows[l], 1, &k.g[l]}, spec{p + "bias", 1, rows[l], &k.bias[l]})
		}
	}
	return specs
}

// start draws as torch does; the norms begin as those of the rows.
func (reading) start(n *Net, g *Group, c Config, rng *rand.Rand) {
	if g == n.Groups[0] {
		n.reader.start(c, n.words, rng)
	}
	for _, k := range g.masks {
		for l := range k.v {
			uniform(k.v[l], k.v[l].Cols, rng)
			uniform(k.bias[l], k.v[l].Cols, rng)
			v, _ := k.v[l].Values()
			norms, _ := k.g[l].Values()
			for i := range norms {
				row := v[i*k.v[l].Cols : (i+1)*k.v[l].Cols]
				norms[i] = float32(math.Sqrt(float64(dot(row, row))))
			}
		}
	}
}

func (reading) transform(n *Net, b *graph.Builder, g *Group, z graph.Node, f *Layout, mode *Mode) graph.Node {
	bound := z.Shape()[0]
	vector := n.reader.build(b, bound, mode)
	in := []graph.Node{b.Detach(z)}
	for _, k := range g.masks {
		x := b.AddBias(b.MatMul(vector, normed(b, k.v[0], k.g[0]), true), b.Trainable(k.bias[0]))
		x = b.Activate(kernel.Tanh, x)
		in = append(in, b.AddBias(b.MatMul(x, normed(b, k.v[1], k.g[1]), true), b.Trainable(k.bias[1])))
	}
	return g.masked(b, in, f, bound, float32(n.Config.MaxScale))
}

// normed is g·v/‖v‖, row by row.
func normed(b *graph.Builder, v, g *nn.Param) graph.Node {
	rows, cols := v.Rows, v.Cols
	return b.Apply(&graph.Op{Rows: rows, Cols: cols, WRT: []bool{true, true}, Kind: &graph.Kind{
		Name: "weightnorm",
		Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = rows
			for i := range rows {
				x, y := in[0].Data[i*cols:(i+1)*cols], out.Data[i*cols:(i+1)*cols]
				s := in[1].Data[i] / float32(math.Sqrt(float64(dot(x, x))))
				for j := range x {
					y[j] = s * x[j]
				}
			}
			return nil
		},
		Grad: func(_ *graph.Builder, _ *graph.Op, in []graph.Node, _, grad graph.Node) []graph.Node {
			op := func(name string, cols2 int, add func(out, dw, v []float32, g float32)) graph.Node {
				return b.Apply(&graph.Op{Rows: rows, Cols: cols2, Kind: &graph.Kind{
					Name:        name,
					Accumulates: true,
					Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
						out.Rows = rows
						if !c.Accumulate {
							clear(out.Data[:rows*cols2])
						}
						for i := range rows {
							add(out.Data[i*cols2:(i+1)*cols2], in[0].Data[i*cols:(i+1)*cols], in[1].Data[i*cols:(i+1)*cols], in[2].Data[i])
						}
						return nil
					},
				}}, grad, in[0], in[1])
			}
			return []graph.Node{
				op("weightnorm.dv", cols, func(out, dw, v []float32, g float32) {
					square := dot(v, v)
					s, along := g/float32(math.Sqrt(float64(square))), dot(dw, v)/square
					for j := range out {
						out[j] += s * (dw[j] - along*v[j])
					}
				}),
				op("weightnorm.dg", 1, func(out, dw, v []float32, _ float32) {
					out[0] += dot(dw, v) / float32(math.Sqrt(float64(dot(v, v))))
				}),
			}
		},
	}}, b.Trainable(v), b.Trainable(g))
}

// masks are a conditioner's output of one task, split.
type masks struct {
	colA, rowA, colB, rowB []float32 // rows behind the softmax
	scale                  float32   // max_scale·σ(e)
	sigmoid                float32
}

func (g *Group) split(p []float32, inOut bool, most float32) masks {
	s0, s1 := g.Out, g.In
	if inOut {
		s0, s1 = g.In, g.Out
	}
	m := masks{colA: p[:s1], rowA: softmax(p[s1 : s1+s0]), colB: p[s1+s0 : 2*s1+s0], rowB: softmax(p[2*s1+s0 : 2*(s1+s0)]), sigmoid: sigmoid(p[2*(s0+s1)])}
	m.scale = most * m.sigmoid
	return m
}

func softmax(x []float32) []float32 {
	most, sum := math.Inf(-1), 0.0
	for _, v := range x {
		most = math.Max(most, float64(v))
	}
	out := make([]float32, len(x))
	for _, v := range x {
		sum += math.Exp(float64(v) - most)
	}
	for i, v := range x {
		out[i] = float32(math.Exp(float64(v)-most) / sum)
	}
	return out
}

// sides are the parts of a row of factors that belong to the stored weight's first
// and second dimension.
func (g *Group) stored(row []float32, inOut bool) (s0, s1 []float32) {
	if inOut {
		return row[:g.In], row[g.In:]
	}
	return row[g.In:], row[:g.In]
}

// masked makes, of raw factors and each mode's conditioner output, the rows of the
// update: of each mode and task the masked ones and one more. The layout becomes
// theirs.
func (g *Group) masked(b *graph.Builder, in []graph.Node, f *Layout, bound int, most float32) graph.Node {
	wide := g.In + g.Out
	var from Layout // of the raw factors
	wrt := []bool{false}
	for range g.masks {
		wrt = append(wrt, true)
	}
	return b.Apply(&graph.Op{Rows: 2 * bound, Cols: wide, WRT: wrt, Kind: &graph.Kind{
		Name: "masks",
		Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			from = Layout{Blocks: append([]nn.Range(nil), f.Blocks...)}
			f.Modes = f.Modes[:0]
			at := 0
			for m, tasks := range f.Tasks {
				from.Tasks = append(from.Tasks, append([]nn.Range(nil), tasks...))
				if at+(from.Blocks[m].Hi-from.Blocks[m].Lo)+len(tasks) > 2*bound {
					return fmt.Errorf("more edits than rows of factors")
				}
				f.Blocks[m].Lo = at
				for t, q := range tasks {
					k := g.split(in[1+m].Data[t*in[1+m].Cols:(t+1)*in[1+m].Cols], g.masks[m].inOut, most)
					tasks[t].Lo = at
					for i := q.Lo; i <= q.Hi; i++ {
						row := out.Data[at*wide : (at+1)*wide]
						s0, s1 := g.stored(row, g.masks[m].inOut)
						if i == q.Hi {
							copy(s0, k.rowB)
							copy(s1, k.colB)
						} else {
							copy(row, in[0].Data[i*wide:(i+1)*wide])
							times(s0, k.rowA)
							times(s1, k.colA)
						}
						for j := g.In; j < wide; j++ {
							row[j] *= k.scale
						}
						f.Modes = append(f.Modes, int32(m))
						at++
					}
					tasks[t].Hi = at
				}
				f.Blocks[m].Hi = at
			}
			out.Rows = at
			return nil
		},
		Grad: func(_ *graph.Builder, _ *graph.Op, in []graph.Node, _, grad graph.Node) []graph.Node {
			grads := []graph.Node{nil}
			for m := range g.masks {
				grads = append(grads, g.masksGrad(b, m, in, grad, f, &from, most))
			}
			return grads
		},
	}}, in...)
}

// masksGrad is the gradient of a mode's conditioner output, [tasks, K].
func (g *Group) masksGrad(b *graph.Builder, m int, in []graph.Node, grad graph.Node, f, from *Layout, most float32) graph.Node {
	wide, inOut := g.In+g.Out, g.masks[m].inOut
	s := in[1+m].Shape()
	return b.Apply(&graph.Op{Rows: s[0], Cols: s[1], Kind: &graph.Kind{
		Name: "masks.grad",
		Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			tasks := f.Tasks[m]
			out.Rows = len(tasks)
			clear(out.Data[:out.Rows*out.Cols])
			for t, q := range tasks {
				p, dp := in[2].Data[t*out.Cols:(t+1)*out.Cols], out.Data[t*out.Cols:(t+1)*out.Cols]
				k := g.split(p, inOut, most)
				d := g.split(dp, inOut, most) // its parts of dp; the softmaxes are copies, and set below
				s1, s0 := len(k.colA), len(k.rowA)
				d.rowA, d.rowB = dp[s1:s1+s0], dp[2*s1+s0:2*(s1+s0)]
				raw := from.Tasks[m][t].Lo
				scaled := 0.0 // Σ dδ̃·δ̃, without the scale
				for i := q.Lo; i < q.Hi; i++ {
					dy := in[0].Data[i*wide : (i+1)*wide]
					y := make([]float32, wide)
					y0, y1 := g.stored(y, inOut)
					d0, d1 := g.stored(dy, inOut)
					by0, by1 := k.scale, float32(1) // the scale stands at δ̃
					if inOut {
						by0, by1 = 1, k.scale
					}
					if i == q.Hi-1 {
						copy(y0, k.rowB)
						copy(y1, k.colB)
						plus(d.rowB, d0, nil, by0)
						plus(d.colB, d1, nil, by1)
					} else {
						copy(y, in[1].Data[(raw+i-q.Lo)*wide:(raw+i-q.Lo+1)*wide])
						plus(d.rowA, d0, y0, by0)
						plus(d.colA, d1, y1, by1)
						times(y0, k.rowA)
						times(y1, k.colA)
					}
					scaled += float64(dot(dy[g.In:], y[g.In:]))
				}
				softmaxGrad(d.rowA, k.rowA)
				softmaxGrad(d.rowB, k.rowB)
				dp[2*(s0+s1)] = float32(scaled) * k.scale * (1 - k.sigmoid)
			}
			return nil
		},
	}}, grad, in[0], in[1+m])
}

// times multiplies x by y.
func times(x, y []float32) {
	for i := range x {
		x[i] *= y[i]
	}
}

// plus adds by·x⊙y to sum; y nil: by·x.
func plus(sum, x, y []float32, by float32) {
	for i, v := range x {
		if y != nil {
			v *= y[i]
		}
		sum[i] += by * v
	}
}

// softmaxGrad makes d, the gradient of y = softmax(x), that of x.
func softmaxGrad(d, y []float32) {
	mean := dot(d, y)
	for i := range d {
		d[i] = y[i] * (d[i] - mean)
	}
}
