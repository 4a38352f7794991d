package hypernet

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// Posterior is what the prior of a site has become behind the rows of earlier
// edits: P = (λ·m·A + Σ u·uᵀ)⁻¹ in float64. Rows that are solved under it pay for
// what they change of the earlier rows' outputs, so that edits made one after the
// other end where one solve of them all does (the ridge regression of recursive
// least squares).
type Posterior struct{ p *mat.SymDense }

// Posterior is that of no rows. The rule must be Solve.
func (n *Net) Posterior(site int) (*Posterior, error) {
	m := n.Sites[site].Linear.In
	p := mat.NewSymDense(m, nil)
	u := n.Config.Update
	if u.Prior == Identity {
		for i := range m {
			p.SetSym(i, i, 1/n.ridge(site))
		}
		return &Posterior{p}, nil
	}
	q := n.Priors[site]
	if err := q.factor(u.Shrink); err != nil {
		return nil, fmt.Errorf("prior of %s: %w", n.Sites[site].Name, err)
	}
	p.SymOuterK(1/(n.ridge(site)*float64(m)), doubles(q.white))
	return &Posterior{p}, nil
}

// Solve returns the rows K' [rows, in] by which new inputs u [rows, in] change
// the weight: ΔW = R·ᵀK', where R are the values that the rows still lack.
func (q *Posterior) Solve(u kernel.Matrix) (kernel.Matrix, error) {
	b, chol, err := q.gain(u)
	if err != nil {
		return kernel.Matrix{}, err
	}
	var k mat.Dense
	if err := chol.SolveTo(&k, b.T()); err != nil {
		return kernel.Matrix{}, fmt.Errorf("solving for %d rows: %w; raise update.ridge", u.Rows, err)
	}
	out := kernel.Mat(make([]float32, u.Rows*u.Cols), u.Rows, u.Cols)
	for i, x := range k.RawMatrix().Data {
		out.Data[i] = float32(x)
	}
	return out, nil
}

// Add makes u [rows, in] rows of an earlier edit.
func (q *Posterior) Add(u kernel.Matrix) error {
	b, chol, err := q.gain(u)
	if err != nil {
		return err
	}
	var l mat.TriDense
	chol.LTo(&l)
	var y mat.Dense // L⁻¹·Bᵀ
	if err := y.Solve(&l, b.T()); err != nil {
		return fmt.Errorf("adding %d rows: %w; raise update.ridge", u.Rows, err)
	}
	q.p.SymRankK(q.p, -1, y.T())
	return nil
}

// gain is B = P·Uᵀ and the Cholesky factor of I + U·B.
func (q *Posterior) gain(u kernel.Matrix) (*mat.Dense, *mat.Cholesky, error) {
	if u.Rows == 0 {
		return nil, nil, fmt.Errorf("an edit without rows")
	}
	x := doubles(u)
	var b, g mat.Dense
	b.Mul(q.p, x.T())
	g.Mul(x, &b)
	s := mat.NewSymDense(u.Rows, nil)
	for i := range u.Rows {
		for j := range i + 1 {
			v := (g.At(i, j) + g.At(j, i)) / 2
			if i == j {
				v++
			}
			s.SetSym(i, j, v)
		}
	}
	var chol mat.Cholesky
	if !chol.Factorize(s) {
		return nil, nil, fmt.Errorf("the inputs of %d rows are not finite, or depend on one another too much for update.ridge; raise it", u.Rows)
	}
	return &b, &chol, nil
}

// Before is the weight of linear before rows with inputs keys [rows, in] and
// values [rows, out], all that q is behind of, changed it to now: the rows' part
// is ΔW = Dᵀ·U·P.
func (q *Posterior) Before(now []float32, linear *nn.Linear, keys, values kernel.Matrix) []float32 {
	var x, delta mat.Dense // [rows, in], [out, in]
	x.Mul(doubles(keys), q.p)
	delta.Mul(doubles(values).T(), &x)
	out := slices.Clone(now)
	for i := range linear.Out {
		for j := range linear.In {
			at := i*linear.In + j
			if linear.InOut {
				at = j*linear.Out + i
			}
			out[at] -= float32(delta.At(i, j))
		}
	}
	return out
}
