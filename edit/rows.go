package edit

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/nn"
)

// Rows are what a low-rank change was solved from by ridge regression, so that
// it can be solved again beside others: ΔW = Dᵀ·(V·Uᵀ + ridge·I)⁻¹·V.
type Rows struct {
	Keys   kernel.Matrix // U: inputs of the layer in the base model, [rows, in]
	Solved kernel.Matrix // V = U·A⁻¹ under the prior A, [rows, in]
	Values kernel.Matrix // D: what the outputs shall change by, [rows, out]
	Ridge  float64
}

// solveTogether makes one change of all changes of a weight that were solved for
// under one ridge: what one edit of all their rows would be. A change alone is
// solved for anew as well, since it may have been made behind others.
func solveTogether(changes []Change) ([]Change, error) {
	by := map[string][]int{}
	for i, c := range changes {
		by[c.Weight] = append(by[c.Weight], i)
	}
	var out []Change
	for i, c := range changes {
		same := by[c.Weight]
		alike := true
		for _, j := range same {
			r := changes[j].Rows
			alike = alike && r != nil && c.Rows != nil && r.Ridge == c.Rows.Ridge
		}
		switch {
		case !alike:
			out = append(out, c)
		case i == same[0]:
			whole := &Rows{Ridge: c.Rows.Ridge}
			for _, j := range same {
				r := changes[j].Rows
				whole.Keys = stack(whole.Keys, r.Keys)
				whole.Solved = stack(whole.Solved, r.Solved)
				whole.Values = stack(whole.Values, r.Values)
			}
			delta, err := whole.solve()
			if err != nil {
				return nil, fmt.Errorf("weight %s: %w", c.Weight, err)
			}
			out = append(out, Change{Weight: c.Weight, Delta: delta, Rows: whole})
		}
	}
	return out, nil
}

// stack is the rows of a and then those of b.
func stack(a, b kernel.Matrix) kernel.Matrix {
	data := slices.Clone(a.Data[:a.Rows*a.Cols])
	for i := range b.Rows {
		data = append(data, b.Data[i*b.Stride:i*b.Stride+b.Cols]...)
	}
	return kernel.Mat(data, a.Rows+b.Rows, b.Cols)
}

// solve is the change that the rows make, in float64.
func (r *Rows) solve() (*nn.Delta, error) {
	n := r.Keys.Rows
	if n == 0 {
		return &nn.Delta{U: r.Keys, D: r.Values, Scale: 1}, nil
	}
	u, v := dense(r.Keys), dense(r.Solved)
	var g mat.Dense
	g.Mul(v, u.T())
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			s.SetSym(i, j, (g.At(i, j)+g.At(j, i))/2)
		}
		s.SetSym(i, i, s.At(i, i)+r.Ridge)
	}
	var chol mat.Cholesky
	if !chol.Factorize(s) {
		return nil, fmt.Errorf("%d rows of edits cannot be solved for together; apply fewer of them", n)
	}
	var k mat.Dense
	if err := chol.SolveTo(&k, v); err != nil {
		return nil, fmt.Errorf("solving for %d rows of edits: %w; apply fewer of them", n, err)
	}
	out := kernel.Mat(make([]float32, n*r.Keys.Cols), n, r.Keys.Cols)
	for i, x := range k.RawMatrix().Data {
		out.Data[i] = float32(x)
	}
	return &nn.Delta{U: out, D: r.Values, Scale: 1}, nil
}

func dense(x kernel.Matrix) *mat.Dense {
	d := mat.NewDense(x.Rows, x.Cols, nil)
	for i := range x.Rows {
		for j := range x.Cols {
			d.Set(i, j, float64(x.Data[i*x.Stride+j]))
		}
	}
	return d
}

// entries are the tensors of the rows of a change.
func (r *Rows) entries(name string) []safetensors.Entry {
	return []safetensors.Entry{factor(name+".rows.keys", r.Keys), factor(name+".rows.solved", r.Solved), factor(name+".rows.values", r.Values)}
}

// readRows reads what entries wrote, for a change of the given widths.
func readRows(f *safetensors.File, name string, h changeHeader, in, out int) (*Rows, error) {
	if h.Ridge == 0 {
		return nil, nil
	}
	if !(h.Ridge > 0) {
		return nil, fmt.Errorf("weight %s: ridge %v", h.Weight, h.Ridge)
	}
	r := &Rows{Ridge: h.Ridge}
	rows := -1
	for _, p := range []struct {
		name string
		into *kernel.Matrix
		cols int
	}{{".rows.keys", &r.Keys, in}, {".rows.solved", &r.Solved, in}, {".rows.values", &r.Values, out}} {
		shape, x, err := readTensor(f, name+p.name, 2)
		if err != nil {
			return nil, err
		}
		if shape[1] != p.cols || rows >= 0 && shape[0] != rows {
			return nil, fmt.Errorf("tensor %s has shape %v; want %d rows of %d", name+p.name, shape, max(rows, 0), p.cols)
		}
		rows = shape[0]
		*p.into = kernel.Mat(x, shape[0], shape[1])
	}
	return r, nil
}
