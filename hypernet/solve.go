package hypernet

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// Keys are what Update puts in the place of the inputs ũ: with rule solve, [rows, in]
// of
//
//	K' = (U·A⁻¹·Uᵀ + λ·m·I)⁻¹·U·A⁻¹     [rows of the task, in]
//
// so that ΔW = −α·D̃ᵀ·K'. K' depends on the inputs, raw's, and on λ alone; where λ is
// not learned it is a constant for the gradient. What the layout has to Stay are
// further rows of the system whose values are zero. Of rows of other processes' tasks
// nothing is computed. With rule sum there are none.
func (n *Net) Keys(b *graph.Builder, g *Group, raw graph.Node, f *Layout) graph.Node {
	if n.Config.Update.Rule == Sum {
		return nil
	}
	in, wrt := []graph.Node{raw}, []bool{false}
	if n.Ridges != nil {
		for _, i := range g.Sites {
			in, wrt = append(in, b.Trainable(n.Ridges[i])), append(wrt, true)
		}
	}
	return b.Apply(&graph.Op{Cols: g.In, WRT: wrt, Kind: &graph.Kind{
		Name: "solve",
		Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			return n.solve(c, g, *out, in[0], f)
		},
		Grad: func(_ *graph.Builder, _ *graph.Op, in []graph.Node, _, grad graph.Node) []graph.Node {
			grads := []graph.Node{nil}
			for m := range in[1:] {
				grads = append(grads, n.ridgeGrad(b, g, m, f, in[0], grad))
			}
			return grads
		},
		Flops: func(_ *graph.Op, _ kernel.Matrix, in []kernel.Matrix) float64 {
			if n.Config.Update.Prior == Identity {
				return 0
			}
			return 4 * float64(in[0].Rows) * float64(g.In) * float64(g.In)
		},
	}}, in...)
}

// Update turns transformed rows z, [ũ, δ̃], of a group into the rows whose outer
// products make the change. raw are the factors before Transform, keys what Keys
// made of them. With rule sum that is z itself; with solve, the keys stand in
// front of δ̃.
func (n *Net) Update(b *graph.Builder, g *Group, keys, raw, z graph.Node) graph.Node {
	if n.Config.Update.Rule == Sum {
		return z
	}
	if v := n.Config.Update.Values; v != Delta {
		z = scaledValues(b, g, raw, z, v)
	}
	return b.Apply(&graph.Op{Kind: keyed, Attr: g.In, Cols: g.In + g.Out, WRT: []bool{true, n.Ridges != nil}}, z, keys)
}

// keyed is z with keys in the place of its first columns, as many as they have.
var keyed = &graph.Kind{
	Name: "keyed",
	Host: graph.With(func(_ *graph.Ctx, width int, out *kernel.Matrix, in []kernel.Matrix) error {
		z, keys := in[0], in[1]
		for i := range z.Rows {
			row := out.Data[i*out.Cols : (i+1)*out.Cols]
			copy(row, keys.Data[i*width:(i+1)*width])
			copy(row[width:], z.Data[i*z.Cols+width:(i+1)*z.Cols])
		}
		return nil
	}),
	Grad: func(b *graph.Builder, p *graph.Op, _ []graph.Node, _, grad graph.Node) []graph.Node {
		dz := b.Apply(&graph.Op{Kind: keyedGrad, Attr: p.Attr, Cols: p.Cols}, grad)
		return []graph.Node{dz, b.Columns(grad, graph.Span(0, p.Attr.(int)))}
	},
}

// keyedGrad is the gradient of z: none in its first columns.
var keyedGrad = &graph.Kind{
	Name: "solve.grad",
	Host: graph.With(func(_ *graph.Ctx, width int, out *kernel.Matrix, in []kernel.Matrix) error {
		for i := range in[0].Rows {
			row := out.Data[i*out.Cols : (i+1)*out.Cols]
			clear(row[:width])
			copy(row[width:], in[0].Data[i*out.Cols+width:(i+1)*out.Cols])
		}
		return nil
	}),
}

// ridge is the weight of a site's prior beside the rows' values, without the
// scale that whiten names.
func (n *Net) ridge(site int) float64 {
	if n.Ridges == nil {
		return n.Config.Update.Ridge
	}
	v, _ := n.Ridges[site].Values()
	return math.Exp(float64(v[0]))
}

// system is the rows of one mode, whitened, with what has to stay beside them.
type system struct {
	rows   nn.Range // of the group's factors
	w      kernel.Matrix
	stay   []nn.Range // rows of spared of each task; nil: none
	spared kernel.Matrix
	lambda float64
}

func (n *Net) system(k *kernel.Engine, g *Group, m int, raw kernel.Matrix, f *Layout) (s system, err error) {
	s.rows = f.mine(m)
	site, scale := g.Sites[m], 0.0
	u := kernel.Matrix{Rows: s.rows.Hi - s.rows.Lo, Cols: g.In, Stride: raw.Cols, Data: raw.Data[s.rows.Lo*raw.Cols:]}
	if s.w, scale, err = n.whiten(k, site, u); err != nil {
		return s, err
	}
	s.lambda = n.ridge(site) * scale
	if len(f.Stay) > 0 {
		s.stay = f.Stay[m].Tasks
		s.spared, _, err = n.whiten(k, site, f.Stay[m].U)
	}
	return s, err
}

// each calls fn for every task whose system this process solves, with where its rows
// are among those of the mode and the rows of the system, its own before those that
// stay.
func (s *system) each(k *kernel.Engine, f *Layout, m int, fn func(t int, q nn.Range, all kernel.Matrix) error) error {
	tasks := f.Tasks[m]
	errs := make([]error, len(tasks))
	k.For(len(tasks), 1, func(lo, hi int) {
		for t := lo; t < hi; t++ {
			q := nn.Range{Lo: tasks[t].Lo - s.rows.Lo, Hi: tasks[t].Hi - s.rows.Lo}
			if q.Hi == q.Lo || !f.share.MyTurn(t, m) {
				continue
			}
			all := part(s.w, q)
			if s.stay != nil {
				all = stacked(all, part(s.spared, s.stay[t]))
			}
			errs[t] = fn(t, q, all)
		}
	})
	return errors.Join(errs...)
}

// solve fills out with K', site by site. Processes that share a task solve its
// systems in turns.
func (n *Net) solve(c *graph.Ctx, g *Group, out, raw kernel.Matrix, f *Layout) error {
	for m := range f.Blocks {
		r := f.mine(m)
		rows := r.Hi - r.Lo
		if rows == 0 {
			continue
		}
		site := g.Sites[m]
		s, err := n.system(c.Engine, g, m, raw, f)
		if err != nil {
			return err
		}
		y := kernel.Mat(make([]float32, rows*g.In), rows, g.In) // rows of no task stay zero
		err = s.each(c.Engine, f, m, func(_ int, q nn.Range, all kernel.Matrix) error {
			return ridge(part(y, q), all, s.lambda, 1)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", n.Sites[site].Name, err)
		}
		n.colour(c.Engine, site, kernel.Matrix{Rows: rows, Cols: g.In, Stride: g.In, Data: out.Data[r.Lo*g.In:]}, y)
	}
	return f.exchangeKeys(out)
}

// exchangeKeys gives all processes the rows of tasks that several of them share.
func (f *Layout) exchangeKeys(keys kernel.Matrix) error {
	if !f.share.Divided() {
		return nil
	}
	owner := slices.Repeat([]int32{-1}, len(f.Source))
	split := false
	for m := range f.Tasks {
		for t, q := range f.Tasks[m] {
			if !f.share.Split(t) {
				continue
			}
			split = true
			for i := q.Lo; i < q.Hi; i++ {
				owner[i] = int32(f.share.Turn(t, m))
			}
		}
	}
	if !split {
		return nil
	}
	return f.share.Rows(keys, owner, nn.Range{Hi: keys.Cols})
}

// ridgeGrad is the gradient of a mode's log λ, [1, 1]: with H = (W·Wᵀ + λ·I)⁻¹ the
// rows are K' = H·W·Bᵀ, so that ∂K'/∂log λ = −λ·H²·W·Bᵀ. With S = ΔWᵀ that is
// −λ⟨M, S⟩ of Tan et al. 2024, M = (UᵀU + λI)⁻¹·∂L/∂S.
func (n *Net) ridgeGrad(b *graph.Builder, g *Group, m int, f *Layout, raw, grad graph.Node) graph.Node {
	return b.Apply(&graph.Op{Rows: 1, Cols: 1, Kind: &graph.Kind{
		Name: "solve.dridge", Accumulates: true,
		Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = 1
			if !c.Accumulate {
				out.Data[0] = 0
			}
			sums := make([]float64, len(f.Tasks[m]))
			if err := n.ridgeSums(c.Engine, g, m, f, in[0], in[1], sums); err != nil {
				return err
			}
			if err := f.share.Numbers(sums, m); err != nil {
				return err
			}
			for _, x := range sums {
				out.Data[0] -= float32(x)
			}
			return nil
		},
	}}, raw, grad)
}

// ridgeSums fills in what ridgeGrad subtracts for each task whose system this process
// solves.
func (n *Net) ridgeSums(k *kernel.Engine, g *Group, m int, f *Layout, raw, grad kernel.Matrix, sums []float64) error {
	r := f.mine(m)
	if r.Hi == r.Lo {
		return nil
	}
	s, err := n.system(k, g, m, raw, f)
	if err != nil {
		return err
	}
	dk := kernel.Matrix{Rows: r.Hi - r.Lo, Cols: g.In, Stride: grad.Cols, Data: grad.Data[r.Lo*grad.Cols:]}
	dy, _, err := n.whiten(k, g.Sites[m], dk)
	if err != nil {
		return err
	}
	return s.each(k, f, m, func(t int, q nn.Range, all kernel.Matrix) error {
		twice := kernel.Mat(make([]float32, (q.Hi-q.Lo)*g.In), q.Hi-q.Lo, g.In)
		if err := ridge(twice, all, s.lambda, 2); err != nil {
			return err
		}
		sum := 0.0
		for i, x := range part(dy, q).Data {
			sum += float64(x) * float64(twice.Data[i])
		}
		sums[t] = s.lambda * sum
		return nil
	})
}

// whiten is W = U·B, where A⁻¹ = B·Bᵀ, of a site's inputs U [rows, in], so that
// W·Wᵀ = U·A⁻¹·Uᵀ. The ridge is to be multiplied by scale.
func (n *Net) whiten(k *kernel.Engine, site int, u kernel.Matrix) (w kernel.Matrix, scale float64, err error) {
	w = kernel.Mat(make([]float32, u.Rows*u.Cols), u.Rows, u.Cols)
	if n.Config.Update.Prior == Identity {
		for i := range u.Rows {
			copy(w.Data[i*w.Cols:(i+1)*w.Cols], u.Data[i*u.Stride:i*u.Stride+u.Cols])
		}
		return w, 1, nil
	}
	p := n.Priors[site]
	if err := p.factor(n.Config.Update.Shrink); err != nil {
		return w, 0, fmt.Errorf("prior of %s: %w", n.Sites[site].Name, err)
	}
	k.Gemm(w, kernel.Product{A: u, B: p.white})
	return w, float64(p.Width), nil
}

// colour writes Y·Bᵀ to out, both [rows, in], for a site whose inputs whiten has
// seen.
func (n *Net) colour(k *kernel.Engine, site int, out, y kernel.Matrix) {
	if n.Config.Update.Prior == Identity {
		for i := range y.Rows {
			copy(out.Data[i*out.Stride:i*out.Stride+out.Cols], y.Data[i*y.Cols:(i+1)*y.Cols])
		}
		return
	}
	k.Gemm(out, kernel.Product{A: y, B: n.Priors[site].white, TransB: true})
}

// SolveKeys returns K' [rows, in] of inputs u [rows, in] of a site, in memory of
// its own.
func (n *Net) SolveKeys(k *kernel.Engine, site int, u kernel.Matrix) (kernel.Matrix, error) {
	keys := kernel.Mat(make([]float32, u.Rows*u.Cols), u.Rows, u.Cols)
	if u.Rows == 0 {
		return keys, nil
	}
	w, scale, err := n.whiten(k, site, u)
	if err != nil {
		return keys, err
	}
	y := kernel.Mat(make([]float32, len(keys.Data)), u.Rows, u.Cols)
	if err := ridge(y, w, n.ridge(site)*scale, 1); err != nil {
		return keys, fmt.Errorf("%s: %w", n.Sites[site].Name, err)
	}
	n.colour(k, site, keys, y)
	return keys, nil
}

// Whitened returns V = U·A⁻¹ of inputs u [rows, in] of a site, in memory of its
// own, and the ridge of their system.
func (n *Net) Whitened(k *kernel.Engine, site int, u kernel.Matrix) (v kernel.Matrix, ridge float64, err error) {
	v = kernel.Mat(make([]float32, u.Rows*u.Cols), u.Rows, u.Cols)
	if u.Rows == 0 {
		return v, n.ridge(site), nil
	}
	w, scale, err := n.whiten(k, site, u)
	if err == nil {
		n.colour(k, site, v, w)
	}
	return v, n.ridge(site) * scale, err
}

func part(x kernel.Matrix, r nn.Range) kernel.Matrix {
	return kernel.Mat(x.Data[r.Lo*x.Cols:r.Hi*x.Cols], r.Hi-r.Lo, x.Cols)
}

// stacked is the rows of a and then those of b.
func stacked(a, b kernel.Matrix) kernel.Matrix {
	return kernel.Mat(slices.Concat(a.Data, b.Data), a.Rows+b.Rows, a.Cols)
}

// ridge writes the first rows of Y = (W·Wᵀ + λ·I)⁻ᵖ·W into y, as many as y has, in
// float64; p is 1 for the update. All have in columns. K' is Y·Bᵀ: were V = W·Bᵀ solved for instead, what
// was rounded in V outside of W's columns would be divided by λ. The smaller of
// the two forms of the system is taken, the other one being W·(Wᵀ·W + λ·I)⁻¹.
func ridge(y, w kernel.Matrix, lambda float64, p int) error {
	x := doubles(w)
	var short mat.Matrix = x
	n := w.Rows
	if w.Rows > w.Cols {
		short, n = x.T(), w.Cols
	}
	gram := mat.NewSymDense(n, nil)
	gram.SymOuterK(1, short)
	for i := range n {
		gram.SetSym(i, i, gram.At(i, i)+lambda)
	}
	var chol mat.Cholesky
	if !chol.Factorize(gram) {
		return fmt.Errorf("the inputs of %d rows are not finite, or depend on one another too much for update.ridge; raise it", w.Rows)
	}
	var out mat.Dense
	for range p {
		if err := chol.SolveTo(&out, short); err != nil {
			return fmt.Errorf("solving for %d rows: %w; raise update.ridge", w.Rows, err)
		}
		short = &out
	}
	var solved mat.Matrix = &out
	if w.Rows > w.Cols {
		solved = out.T()
	}
	for i := range y.Rows {
		for j := range y.Cols {
			y.Data[i*y.Stride+j] = float32(solved.At(i, j))
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
