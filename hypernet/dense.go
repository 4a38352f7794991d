package hypernet

import (
	"fmt"
	"math"
	"math/rand/v2"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// maxDense is the largest number of parameters of a naive network: beyond it
// the network is refused.
const maxDense = 1 << 26

// dense is the naive editor: one linear map from the whole gradient of a
// weight, [in·out] numbers, to the whole update. It has (in·out)² parameters
// and exists to show why factors are used; it serves layers up to about
// 64 × 128.
type dense struct{}

func (dense) traits() traits { return traits{sums: true} }

// refuse refuses layers for which the map would be too large.
func (dense) refuse(groups []*Group) error {
	for _, g := range groups {
		size := float64(g.In) * float64(g.Out)
		if params := size * size; params > maxDense {
			return fmt.Errorf("kind: naive needs (%d·%d)² = %.0f parameters (%.3g GiB) for weights of %d × %d, more than %d; use kind: mend, which works on factors",
				g.In, g.Out, params, params*4/(1<<30), g.In, g.Out, maxDense)
		}
	}
	return nil
}

func (dense) describe(_ *Net, g *Group, _ Config) []spec {
	return []spec{{g.Name + ".weight", g.In * g.Out, g.In * g.Out, &g.whole}}
}

// start is the identity plus small noise, so that the first update is the
// gradient itself.
func (dense) start(_ *Net, g *Group, _ Config, rng *rand.Rand) {
	n := g.In * g.Out
	w, _ := g.whole.Values()
	scale := 1e-3 / math.Sqrt(float64(n))
	for i := range w {
		w[i] = float32(rng.NormFloat64() * scale)
	}
	for i := range n {
		w[i*n+i]++
	}
}

// transform turns each (mode, task) block of raw factors into the gradient
// Σ δuᵀ, maps it, and hands the update back as in+out-wide rows: ũ is a unit
// vector for each input and δ̃ the update's column for it.
func (dense) transform(_ *Net, b *graph.Builder, d *Group, z graph.Node, f *Layout, _ *Mode) graph.Node {
	n := d.In * d.Out
	bound := z.Shape()[0]
	blocks := func() int {
		c := 0
		for _, tasks := range f.Tasks {
			c += len(tasks)
		}
		return c
	}
	full := b.Apply(&graph.Op{Rows: bound, Cols: n, Kind: &graph.Kind{
		Name: "naive.gradient",
		Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = blocks()
			if out.Rows > bound {
				return fmt.Errorf("more weights than factor rows; use at least one row for each")
			}
			i := 0
			for _, tasks := range f.Tasks {
				for _, q := range tasks {
					rows := in[0].Data[q.Lo*in[0].Cols:]
					u := kernel.Matrix{Rows: q.Hi - q.Lo, Cols: d.In, Stride: in[0].Cols, Data: rows}
					g := kernel.Matrix{Rows: q.Hi - q.Lo, Cols: d.Out, Stride: in[0].Cols, Data: rows[min(d.In, len(rows)):]}
					c.Engine.Gemm(kernel.Mat(out.Data[i*n:(i+1)*n], d.In, d.Out), kernel.Product{A: u, TransA: true, B: g})
					i++
				}
			}
			return nil
		},
	}}, z)
	mapped := b.MatMul(full, b.Trainable(d.whole), true)
	return wholeRows(b, d, mapped, f, bound*d.In, blocks)
}

// wholeRows lays mapped updates [blocks, in·out] out as factor rows.
func wholeRows(b *graph.Builder, d *Group, mapped graph.Node, f *Layout, bound int, blocks func() int) graph.Node {
	wide := d.In + d.Out
	n := d.In * d.Out
	return b.Apply(&graph.Op{Rows: bound, Cols: wide, WRT: []bool{true}, Kind: &graph.Kind{
		Name: "naive.rows",
		Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = blocks() * d.In
			clear(out.Data[:out.Rows*wide])
			at := 0
			for m, tasks := range f.Tasks {
				f.Blocks[m].Lo = at
				for t := range tasks {
					for i := range d.In {
						row := out.Data[(at+i)*wide : (at+i+1)*wide]
						row[i] = 1
						copy(row[d.In:], in[0].Data[at/d.In*n+i*d.Out:at/d.In*n+(i+1)*d.Out])
					}
					tasks[t] = nn.Range{Lo: at, Hi: at + d.In}
					at += d.In
				}
				f.Blocks[m].Hi = at
			}
			return nil
		},
		Grad: func(_ *graph.Builder, _ *graph.Op, _ []graph.Node, _, grad graph.Node) []graph.Node {
			return []graph.Node{b.Apply(&graph.Op{Rows: mapped.Shape()[0], Cols: n, Kind: &graph.Kind{
				Name: "naive.grad",
				Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
					out.Rows = blocks()
					for r := range out.Rows * d.In {
						copy(out.Data[r*d.Out:(r+1)*d.Out], in[0].Data[r*wide+d.In:(r+1)*wide])
					}
					return nil
				},
			}}, grad)}
		},
	}}, mapped)
}
