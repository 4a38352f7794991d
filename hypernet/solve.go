package hypernet

import (
	"errors"
	"fmt"

	"gonum.org/v1/gonum/mat"
	"gorgonia.org/gorgonia"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// Update turns transformed rows z, [ũ, δ̃], of a group into the rows whose outer
// products make the change. raw are the factors before Transform. With rule
// sum that is z itself. With solve, ũ gives way to the row of
//
//	K' = (U·A⁻¹·Uᵀ + λ·m·I)⁻¹·U·A⁻¹     [rows of the task, in]
//
// so that ΔW = −α·D̃ᵀ·K'. K' depends on the inputs alone, and so is a constant
// for the gradient.
func (n *Net) Update(b *graph.Builder, g *Group, raw, z graph.Node, f *Layout) graph.Node {
	if n.Config.Update.Rule == Sum {
		return z
	}
	wide := g.In + g.Out
	return b.Apply(&graph.Op{
		Name: "solve", Cols: wide, WRT: []bool{true, false},
		Run: func(c *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			return n.solve(c, g, *out, in[0], in[1], f)
		},
		Diff: func(_ gorgonia.Nodes, _, grad graph.Node) gorgonia.Nodes {
			return gorgonia.Nodes{b.Apply(&graph.Op{
				Name: "solve.grad", Cols: wide,
				Run: func(_ *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					for i := range in[0].Rows {
						row := out.Data[i*wide : (i+1)*wide]
						clear(row[:g.In])
						copy(row[g.In:], in[0].Data[i*wide+g.In:(i+1)*wide])
					}
					return nil
				},
			}, grad), nil}
		},
		Flops: func(_ kernel.Matrix, in []kernel.Matrix) float64 {
			if n.Config.Update.Prior == Identity {
				return 0
			}
			return 4 * float64(in[0].Rows) * float64(g.In) * float64(g.In)
		},
	}, z, raw)
}

// solve fills out with K' and δ̃, site by site.
func (n *Net) solve(c *graph.Ctx, g *Group, out, z, raw kernel.Matrix, f *Layout) error {
	wide := g.In + g.Out
	for m, r := range f.Blocks {
		rows := r.Hi - r.Lo
		if rows == 0 {
			continue
		}
		site := g.Sites[m]
		buf := make([]float32, 2*rows*g.In)
		w, v := kernel.Mat(buf[:rows*g.In], rows, g.In), kernel.Mat(buf[rows*g.In:], rows, g.In)
		u := kernel.Matrix{Rows: rows, Cols: g.In, Stride: wide, Data: raw.Data[r.Lo*wide:]}
		scale, err := n.whiten(c.Engine, site, w, v, u)
		if err != nil {
			return err
		}
		for i := r.Lo; i < r.Hi; i++ {
			row := out.Data[i*wide : (i+1)*wide]
			clear(row[:g.In]) // rows of no task
			copy(row[g.In:], z.Data[i*wide+g.In:(i+1)*wide])
		}
		tasks := f.Tasks[m]
		errs := make([]error, len(tasks))
		c.Engine.For(len(tasks), 1, func(lo, hi int) {
			for t := lo; t < hi; t++ {
				q := nn.Range{Lo: tasks[t].Lo - r.Lo, Hi: tasks[t].Hi - r.Lo}
				if q.Hi == q.Lo {
					continue
				}
				k := kernel.Matrix{Rows: q.Hi - q.Lo, Cols: g.In, Stride: wide, Data: out.Data[tasks[t].Lo*wide:]}
				errs[t] = ridge(k, part(w, q), part(v, q), n.Config.Update.Ridge*scale)
			}
		})
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("%s: %w", n.Sites[site].Name, err)
		}
	}
	return nil
}

// whiten writes W with W·Wᵀ = U·A⁻¹·Uᵀ and V = U·A⁻¹ of a site's inputs U
// [rows, in]. The ridge is to be multiplied by scale.
func (n *Net) whiten(e *kernel.Engine, site int, w, v, u kernel.Matrix) (scale float64, err error) {
	if n.Config.Update.Prior == Identity {
		for i := range u.Rows {
			copy(w.Data[i*w.Cols:(i+1)*w.Cols], u.Data[i*u.Stride:i*u.Stride+u.Cols])
		}
		copy(v.Data, w.Data)
		return 1, nil
	}
	p := n.Priors[site]
	if err := p.factor(n.Config.Update.Shrink); err != nil {
		return 0, fmt.Errorf("prior of %s: %w", n.Sites[site].Name, err)
	}
	e.Gemm(w, kernel.Product{A: u, B: p.white})
	e.Gemm(v, kernel.Product{A: w, B: p.white, TransB: true})
	return float64(p.Width), nil
}

// SolveKeys returns K' [rows, in] of inputs u [rows, in] of a site, in memory of
// its own.
func (n *Net) SolveKeys(e *kernel.Engine, site int, u kernel.Matrix) (kernel.Matrix, error) {
	k := kernel.Mat(make([]float32, u.Rows*u.Cols), u.Rows, u.Cols)
	if u.Rows == 0 {
		return k, nil
	}
	w, v := kernel.Mat(make([]float32, len(k.Data)), u.Rows, u.Cols), kernel.Mat(make([]float32, len(k.Data)), u.Rows, u.Cols)
	scale, err := n.whiten(e, site, w, v, u)
	if err != nil {
		return k, err
	}
	if err := ridge(k, w, v, n.Config.Update.Ridge*scale); err != nil {
		return k, fmt.Errorf("%s: %w", n.Sites[site].Name, err)
	}
	return k, nil
}

// Whitened returns V = U·A⁻¹ of inputs u [rows, in] of a site, in memory of its
// own, and the ridge of their system.
func (n *Net) Whitened(e *kernel.Engine, site int, u kernel.Matrix) (v kernel.Matrix, ridge float64, err error) {
	w := kernel.Mat(make([]float32, u.Rows*u.Cols), u.Rows, u.Cols)
	v = kernel.Mat(make([]float32, u.Rows*u.Cols), u.Rows, u.Cols)
	if u.Rows == 0 {
		return v, n.Config.Update.Ridge, nil
	}
	scale, err := n.whiten(e, site, w, v, u)
	return v, n.Config.Update.Ridge * scale, err
}

func part(x kernel.Matrix, r nn.Range) kernel.Matrix {
	return kernel.Mat(x.Data[r.Lo*x.Cols:r.Hi*x.Cols], r.Hi-r.Lo, x.Cols)
}

// ridge writes (W·Wᵀ + λ·I)⁻¹·V into k, in float64. All are [rows, in].
func ridge(k, w, v kernel.Matrix, lambda float64) error {
	n := w.Rows
	x := doubles(w)
	gram := mat.NewSymDense(n, nil)
	gram.SymOuterK(1, x)
	for i := range n {
		gram.SetSym(i, i, gram.At(i, i)+lambda)
	}
	var chol mat.Cholesky
	if !chol.Factorize(gram) {
		return fmt.Errorf("the inputs of %d rows are not finite, or depend on one another too much for update.ridge; raise it", n)
	}
	var out mat.Dense
	if err := chol.SolveTo(&out, doubles(v)); err != nil {
		return fmt.Errorf("solving for %d rows: %w; raise update.ridge", n, err)
	}
	for i := range n {
		row := k.Data[i*k.Stride : i*k.Stride+k.Cols]
		for j, x := range out.RawRowView(i) {
			row[j] = float32(x)
		}
	}
	return nil
}

func doubles(x kernel.Matrix) *mat.Dense {
	out := make([]float64, x.Rows*x.Cols)
	for i := range out {
		out[i] = float64(x.Data[i])
	}
	return mat.NewDense(x.Rows, x.Cols, out)
}
