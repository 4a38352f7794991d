package hypernet

import (
	"errors"
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// Layout says which rows of a group's factors belong to which mode and task.
// It is filled when the factors are gathered, at each run.
type Layout struct {
	Blocks []nn.Range   // rows of each mode, one behind the other
	Tasks  [][]nn.Range // [mode][task]
	Modes  []int32      // mode of each row
	Source []int32      // where in its site's raw factors each row came from
	Stay   []Stay       // of each mode: what Update has to spare; nil: nothing more than the prior does
}

// Stay are inputs of a site whose outputs are to stay as they are when the rows
// of a task get their values.
type Stay struct {
	U     kernel.Matrix // [rows, in], each row times the root of its weight
	Tasks []nn.Range    // rows of U of each task
}

// Mode says how the normaliser behaves in a run.
type Mode struct {
	Training bool // update the statistics
	Strict   bool // one single row is an error, as in the reference, instead of a zero update
}

// Raw are the raw factors of one site as graph nodes, with the list that says
// which of their rows belong to which task.
type Raw struct {
	U, Delta graph.Node // [rows, in], [rows, out]
	Tasks    *[]nn.Range
	Keep     *[]bool // rows that count; nil: all
}

// Gather stacks the raw factors of a group's sites, mode by mode and task by
// task, without the rows where u or δ is all zero and those that do not count:
// [rows, in+out].
func Gather(b *graph.Builder, g *Group, raw []Raw, f *Layout) graph.Node {
	var in []graph.Node
	bound := 0
	for _, r := range raw {
		in = append(in, r.U, r.Delta)
		bound += r.U.Shape()[0]
	}
	f.Blocks, f.Tasks = make([]nn.Range, len(raw)), make([][]nn.Range, len(raw))
	d := g.In + g.Out
	var keepU, keepD []bool
	return b.Apply(&graph.Op{
		Name: "gather", Rows: bound, Cols: d,
		Run: func(c *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			at := 0
			f.Modes, f.Source = f.Modes[:0], f.Source[:0]
			for m, r := range raw {
				u, delta := in[2*m], in[2*m+1]
				keepU, keepD = resize(keepU, u.Rows), resize(keepD, u.Rows)
				c.Engine.RowsNonZero(keepU, u.Data[:u.Rows*u.Cols], u.Rows, u.Cols)
				c.Engine.RowsNonZero(keepD, delta.Data[:u.Rows*delta.Cols], u.Rows, delta.Cols)
				f.Blocks[m].Lo = at
				f.Tasks[m] = f.Tasks[m][:0]
				for _, t := range *r.Tasks {
					q := nn.Range{Lo: at}
					for i := t.Lo; i < t.Hi; i++ {
						if !keepU[i] || !keepD[i] || r.Keep != nil && !(*r.Keep)[i] {
							continue
						}
						row := out.Data[at*d : (at+1)*d]
						copy(row, u.Data[i*u.Cols:(i+1)*u.Cols])
						copy(row[g.In:], delta.Data[i*delta.Cols:(i+1)*delta.Cols])
						f.Modes, f.Source = append(f.Modes, int32(m)), append(f.Source, int32(i))
						at++
					}
					q.Hi = at
					f.Tasks[m] = append(f.Tasks[m], q)
				}
				f.Blocks[m].Hi = at
			}
			out.Rows = at
			return nil
		},
	}, in...)
}

// Regather stacks the raw factors of a later step, row by row where first has
// those of the first one, whatever they are: [rows, in+out]. f becomes a layout
// like first's: a task that got no update there gets none here.
func Regather(b *graph.Builder, g *Group, raw []Raw, first, f *Layout) graph.Node {
	var in []graph.Node
	bound := 0
	for _, r := range raw {
		in = append(in, r.U, r.Delta)
		bound += r.U.Shape()[0]
	}
	f.Blocks, f.Tasks = make([]nn.Range, len(raw)), make([][]nn.Range, len(raw))
	d := g.In + g.Out
	return b.Apply(&graph.Op{
		Name: "regather", Rows: bound, Cols: d,
		Run: func(_ *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			copy(f.Blocks, first.Blocks)
			for m := range first.Tasks {
				f.Tasks[m] = append(f.Tasks[m][:0], first.Tasks[m]...)
			}
			f.Modes, f.Source = append(f.Modes[:0], first.Modes...), append(f.Source[:0], first.Source...)
			for at, i := range f.Source {
				u, delta := in[2*f.Modes[at]], in[2*f.Modes[at]+1]
				row, i := out.Data[at*d:(at+1)*d], int(i)
				copy(row, u.Data[i*u.Cols:(i+1)*u.Cols])
				copy(row[g.In:], delta.Data[i*delta.Cols:(i+1)*delta.Cols])
			}
			out.Rows = len(f.Source)
			return nil
		},
	}, in...)
}

func resize(s []bool, n int) []bool {
	if cap(s) < n {
		return make([]bool, n)
	}
	return s[:n]
}

// normalise updates the statistics (in training) and divides by them, task by
// task and, within one, mode by mode, which is the order in which the
// reference sees the rows. The result is constant for the gradient.
func normalise(b *graph.Builder, z graph.Node, n *Normaliser, f *Layout, mode *Mode) graph.Node {
	d := len(n.Mean)
	return b.Apply(&graph.Op{
		Name: "normalise", Cols: d,
		Run: func(c *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			if len(f.Tasks) == 0 {
				return nil
			}
			clear(out.Data[:in[0].Rows*d]) // rows of no task
			columns := func(d int, fn func(lo, hi int)) { c.Engine.For(d, columnBlock, fn) }
			for t := range f.Tasks[0] {
				for m := range f.Tasks {
					q := f.Tasks[m][t]
					rows, dst := in[0].Data[q.Lo*d:q.Hi*d], out.Data[q.Lo*d:q.Hi*d]
					if mode.Training {
						n.update(rows, columns)
					}
					if q.Hi == q.Lo {
						continue
					}
					err := n.apply(dst, rows, columns)
					if errors.Is(err, ErrOneRow) && !mode.Strict {
						clear(dst)
						f.Tasks[m][t] = nn.Range{Lo: q.Lo, Hi: q.Lo} // no update for this weight
						continue
					}
					if err != nil {
						return fmt.Errorf("%w", err)
					}
				}
			}
			return nil
		},
	}, z)
}
