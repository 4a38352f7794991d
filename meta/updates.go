package meta

import (
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// Rows are what the editor makes of one edit at one site: the update, as an
// addition to the site's linear layer, and, where rows are solved for, the inputs
// of the layer that they were solved from.
type Rows struct {
	nn.Delta
	Keys kernel.Matrix // [rows, in]
	Stay kernel.Matrix // inputs that were spared beside them, [rows, in]
}

// Rows computes the updates of the tasks' edits, with a frozen normaliser:
// [site][task]. They stay valid.
func (o *Objective) Rows(tasks []Task) ([][]Rows, error) {
	return o.rows(tasks, false)
}

// First is Rows with what the first look alone made of the edits; Again takes the
// later ones.
func (o *Objective) First(tasks []Task) ([][]Rows, error) {
	return o.rows(tasks, true)
}

func (o *Objective) rows(tasks []Task, first bool) ([][]Rows, error) {
	o.Mode.Training = false
	if err := o.prepare(tasks, false); err != nil {
		return nil, err
	}
	g := o.g
	solved := o.Net.Config.Update.Rule == hypernet.Solve
	machine, factors := &g.editing, g.factors
	if first {
		machine, factors = &g.beginning, g.first
	}
	if *machine == nil {
		outputs := append([]graph.Node{g.innerS.Rows}, factors...)
		if solved {
			outputs = append(outputs, g.gathered...)
		}
		m, err := g.b.CompileIn(&o.memory, outputs...)
		if err != nil {
			return nil, err
		}
		*machine = m
	}
	done := *machine
	if err := o.run(done, false); err != nil {
		return nil, err
	}
	rows := make([][]Rows, len(o.sites))
	for gi, grp := range o.Net.At(0) {
		z, layout := done.Value(factors[gi]), g.layouts[gi]
		for m, i := range grp.Sites {
			rate, err := o.Net.Rates[i].Values()
			if err != nil {
				return nil, err
			}
			for t, q := range layout.Tasks[m] {
				r := Rows{Delta: copyDelta(z, q, grp.In, grp.Out, o.Sign()*rate[0])}
				if solved {
					r.Keys = copyColumns(done.Value(g.gathered[gi]), q, 0, grp.In)
					r.Stay = kernel.Mat(nil, 0, grp.In)
				}
				if o.stay != nil {
					s := o.stay[i]
					r.Stay = kernel.Mat(s.U.Data[s.Tasks[t].Lo*grp.In:s.Tasks[t].Hi*grp.In], s.Tasks[t].Hi-s.Tasks[t].Lo, grp.In)
				}
				rows[i] = append(rows[i], r)
			}
		}
	}
	return rows, nil
}

func copyDelta(z kernel.Matrix, q nn.Range, in, out int, scale float32) nn.Delta {
	return nn.Delta{U: copyColumns(z, q, 0, in), D: copyColumns(z, q, in, in+out), Scale: scale}
}

// copyColumns is columns [lo, hi) of rows q of z, in memory of its own.
func copyColumns(z kernel.Matrix, q nn.Range, lo, hi int) kernel.Matrix {
	n, w := q.Hi-q.Lo, hi-lo
	out := kernel.Mat(make([]float32, n*w), n, w)
	for i := range n {
		row := z.Data[(q.Lo+i)*z.Cols:]
		copy(out.Data[i*w:(i+1)*w], row[lo:hi])
	}
	return out
}
