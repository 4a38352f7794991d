package hypernet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

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
	Source []int32      // where in its site's raw factors each row came from; -1: another process has it
	Owner  []int32      // process that each row came from, where processes share the tasks
	Parts  [][]nn.Range // [mode][part]: rows that are counted together; empty: the tasks
	Stay   []Stay       // of each mode: what Update has to spare; nil: nothing more than the prior does

	share *graph.Share // of the tasks, if rows of other processes may be among these
}

// mine is the range of a mode's rows from the first to the last task whose system
// this process solves.
func (f *Layout) mine(m int) nn.Range {
	if !f.share.Divided() {
		return f.Blocks[m]
	}
	r := nn.Range{Lo: f.Blocks[m].Lo, Hi: f.Blocks[m].Lo}
	first := true
	for t, q := range f.Tasks[m] {
		if f.share.MyTurn(t, m) && q.Hi > q.Lo {
			if first {
				r.Lo, first = q.Lo, false
			}
			r.Hi = q.Hi
		}
	}
	return r
}

// Stay are inputs of a site whose outputs are to stay as they are when the rows
// of a task get their values.
type Stay struct {
	U     kernel.Matrix // [rows, in], each row times the root of its weight
	Tasks []nn.Range    // rows of U of each task
}

// Mode says how the normaliser behaves in a run.
type Mode struct {
	Training bool      // update the statistics
	Strict   bool      // one single row is an error, as in the reference, instead of a zero update
	Texts    [][]int32 // of each task: what kinds that read are given
	Unread   []bool    // of each part: its δ is read as zero; empty: none is
}

// Raw are the raw factors of one site as graph nodes, with the list that says
// which of their rows belong to which task.
type Raw struct {
	U, Delta graph.Node // [rows, in], [rows, out]
	Tasks    *[]nn.Range
	Keep     *[]bool     // rows that count; nil: all
	Rows     int         // bound on the rows of all processes, if above that of U
	Parts    *[]nn.Range // rows of parts of tasks, which the references of pooled kinds count together; nil: one part
}

// Gather stacks the raw factors of a group's sites, mode by mode and task by
// task, without the rows where u or δ is all zero and those that do not count:
// [rows, in+out]. In training they are those of all processes.
func Gather(b *graph.Builder, g *Group, raw []Raw, f *Layout, s *graph.Share, mode *Mode) graph.Node {
	in, bound := inputs(raw, f, s)
	f.Parts = make([][]nn.Range, len(raw))
	return b.Apply(&graph.Op{Kind: gather, Attr: &gathered{raw: raw, f: f, mode: mode, zeros: g.pooled}, Rows: bound, Cols: g.In + g.Out}, in...)
}

// inputs lists the factors of all sites, with the number of rows they may have,
// and makes room in f.
func inputs(raw []Raw, f *Layout, s *graph.Share) (in []graph.Node, bound int) {
	for _, r := range raw {
		in = append(in, r.U, r.Delta)
		bound += max(r.Rows, r.U.Shape()[0])
	}
	f.Blocks, f.Tasks, f.share = make([]nn.Range, len(raw)), make([][]nn.Range, len(raw)), s
	return in, bound
}

// gathered are the factors that are stacked, and what is found out about them.
type gathered struct {
	raw          []Raw
	f            *Layout
	mode         *Mode
	zeros        bool   // rows of zeros count too
	keepU, keepD []bool // of the site at hand: rows that are not all zero
}

var gather = &graph.Kind{
	Name: "gather",
	Host: graph.With(func(c *graph.Ctx, g *gathered, out *kernel.Matrix, in []kernel.Matrix) error {
		f, d, at := g.f, out.Cols, 0
		f.Modes, f.Source = f.Modes[:0], f.Source[:0]
		for m, r := range g.raw {
			u, delta := in[2*m], in[2*m+1]
			g.keepU, g.keepD = resize(g.keepU, u.Rows), resize(g.keepD, u.Rows)
			c.Engine.RowsNonZero(g.keepU, u.Data[:u.Rows*u.Cols], u.Rows, u.Cols)
			c.Engine.RowsNonZero(g.keepD, delta.Data[:u.Rows*delta.Cols], u.Rows, delta.Cols)
			f.Blocks[m].Lo = at
			f.Tasks[m] = f.Tasks[m][:0]
			for _, t := range *r.Tasks {
				q := nn.Range{Lo: at}
				for i := t.Lo; i < t.Hi; i++ {
					if !g.zeros && !(g.keepU[i] && g.keepD[i]) || r.Keep != nil && !(*r.Keep)[i] {
						continue
					}
					row := out.Data[at*d : (at+1)*d]
					copy(row, u.Data[i*u.Cols:(i+1)*u.Cols])
					copy(row[u.Cols:], delta.Data[i*delta.Cols:(i+1)*delta.Cols])
					f.Modes, f.Source = append(f.Modes, int32(m)), append(f.Source, int32(i))
					at++
				}
				q.Hi = at
				f.Tasks[m] = append(f.Tasks[m], q)
			}
			f.Blocks[m].Hi = at
			f.Parts[m] = partsOf(f.Parts[m][:0], r.Parts, f.Source[f.Blocks[m].Lo:at], f.Blocks[m].Lo)
		}
		out.Rows = at
		if g.mode.Training {
			return f.complete(f.share, out)
		}
		return nil
	}),
}

// partsOf appends to list where the rows of each part lie that came from source,
// rising, and begin at row lo.
func partsOf(list []nn.Range, parts *[]nn.Range, source []int32, lo int) []nn.Range {
	if parts == nil {
		return list
	}
	at := 0
	for _, p := range *parts {
		q := nn.Range{Lo: lo + at}
		for at < len(source) && int(source[at]) < p.Hi {
			at++
		}
		q.Hi = lo + at
		list = append(list, q)
	}
	return list
}

// Regather stacks the raw factors of a later step, row by row where first has
// those of the first one, whatever they are: [rows, in+out]. f becomes a layout
// like first's: a task that got no update there gets none here.
func Regather(b *graph.Builder, g *Group, raw []Raw, first, f *Layout, s *graph.Share, mode *Mode) graph.Node {
	in, bound := inputs(raw, f, s)
	return b.Apply(&graph.Op{Kind: regather, Attr: regathered{first, f, mode}, Rows: bound, Cols: g.In + g.Out}, in...)
}

type regathered struct {
	first, f *Layout
	mode     *Mode
}

var regather = &graph.Kind{
	Name: "regather",
	Host: graph.With(func(_ *graph.Ctx, g regathered, out *kernel.Matrix, in []kernel.Matrix) error {
		first, f, d := g.first, g.f, out.Cols
		copy(f.Blocks, first.Blocks)
		for m := range first.Tasks {
			f.Tasks[m] = append(f.Tasks[m][:0], first.Tasks[m]...)
		}
		f.Modes, f.Source = append(f.Modes[:0], first.Modes...), append(f.Source[:0], first.Source...)
		f.Owner = append(f.Owner[:0], first.Owner...)
		for at, i := range f.Source {
			u, delta := in[2*f.Modes[at]], in[2*f.Modes[at]+1]
			row, i := out.Data[at*d:(at+1)*d], int(i)
			if i < 0 {
				clear(row)
				continue
			}
			copy(row, u.Data[i*u.Cols:(i+1)*u.Cols])
			copy(row[u.Cols:], delta.Data[i*delta.Cols:(i+1)*delta.Cols])
		}
		out.Rows = len(f.Source)
		if g.mode.Training {
			return f.share.Rows(*out, f.Owner, nn.Range{Hi: d})
		}
		return nil
	}),
}

// complete makes rows, those of this process's texts laid out by f, those of all
// texts, and f their layout.
func (f *Layout) complete(s *graph.Share, rows *kernel.Matrix) error {
	if !s.Divided() {
		return nil
	}
	var mine []byte // how many rows each mode and task has, then the rows
	for m := range f.Tasks {
		for _, q := range f.Tasks[m] {
			mine = binary.LittleEndian.AppendUint32(mine, uint32(q.Hi-q.Lo))
		}
	}
	head := len(mine)
	mine = append(mine, graph.Bytes(rows.Data[:rows.Rows*rows.Cols])...)
	all, err := s.Peers.Gather(mine)
	if err != nil {
		return err
	}
	heads := make([][]byte, len(all))
	for r := range all {
		if len(all[r]) < head {
			return fmt.Errorf("process %d gave %d bytes for %d tasks: the processes are not at the same step of the same run", r, len(all[r]), len(s.Of))
		}
		heads[r], all[r] = all[r][:head], all[r][head:]
	}
	source := slices.Clone(f.Source)
	f.Modes, f.Source, f.Owner = f.Modes[:0], f.Source[:0], f.Owner[:0]
	at := 0
	for m := range f.Tasks {
		f.Blocks[m].Lo = at
		for t := range f.Tasks[m] {
			q := nn.Range{Lo: at}
			for r := range all {
				n := int(binary.LittleEndian.Uint32(heads[r]))
				heads[r] = heads[r][4:]
				if size := 4 * n * rows.Cols; len(all[r]) < size || (at+n)*rows.Cols > len(rows.Data) {
					return fmt.Errorf("process %d gave %d rows of task %d, which are not there or are too many: the processes are not at the same step of the same run", r, n, t)
				}
				into := graph.Bytes(rows.Data[at*rows.Cols : (at+n)*rows.Cols])
				all[r] = all[r][copy(into, all[r]):]
				for range n {
					from := int32(-1)
					if r == s.Peers.Rank() {
						from, source = source[0], source[1:]
					}
					f.Modes, f.Source, f.Owner = append(f.Modes, int32(m)), append(f.Source, from), append(f.Owner, int32(r))
				}
				at += n
			}
			q.Hi = at
			f.Tasks[m][t] = q
		}
		f.Blocks[m].Hi = at
	}
	rows.Rows = at
	return nil
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
	return b.Apply(&graph.Op{Kind: normalising, Attr: normalised{n, f, mode}, Cols: len(n.Mean)}, z)
}

type normalised struct {
	n    *Normaliser
	f    *Layout
	mode *Mode
}

var normalising = &graph.Kind{
	Name: "normalise",
	Host: graph.With(func(c *graph.Ctx, a normalised, out *kernel.Matrix, in []kernel.Matrix) error {
		n, f, d := a.n, a.f, out.Cols
		if len(f.Tasks) == 0 {
			return nil
		}
		clear(out.Data[:in[0].Rows*d]) // rows of no task
		columns := func(d int, fn func(lo, hi int)) { c.Engine.For(d, columnBlock, fn) }
		from := in[0].Data
		if n.Pooled {
			if err := pool(n, from, f, a.mode, columns); err != nil {
				return err
			}
			from = unread(n, from, f, a.mode)
		}
		for t := range f.Tasks[0] {
			for m := range f.Tasks {
				q := f.Tasks[m][t]
				rows, dst := from[q.Lo*d:q.Hi*d], out.Data[q.Lo*d:q.Hi*d]
				if a.mode.Training && !n.Pooled {
					n.update(rows, columns)
				}
				if q.Hi == q.Lo {
					continue
				}
				err := n.apply(dst, rows, columns)
				if errors.Is(err, ErrOneRow) && !a.mode.Strict {
					clear(dst)
					f.Tasks[m][t] = nn.Range{Lo: q.Lo, Hi: q.Lo} // no update for this weight
					continue
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	}),
}

// pool counts the rows of all tasks, part by part and, within one, mode by mode.
func pool(n *Normaliser, rows []float32, f *Layout, mode *Mode, columns spread) error {
	blocks := f.Tasks
	if n.Exact && len(f.Parts) > 0 && len(f.Parts[0]) > 0 && !f.share.Divided() {
		blocks = f.Parts
	}
	d := len(n.Mean)
	for p := range blocks[0] {
		if !mode.Training {
			break
		}
		for m := range blocks {
			q := blocks[m][p]
			if mode.Strict && q.Hi-q.Lo == 1 {
				return fmt.Errorf("a part of one row: %w, and in the reference none of what follows is a number; take more edits in a part, or compat: keyhole", ErrOneRow)
			}
			n.update(rows[q.Lo*d:q.Hi*d], columns)
		}
	}
	return nil
}

// unread is rows with the δ of the parts that are not read set to zero.
func unread(n *Normaliser, rows []float32, f *Layout, mode *Mode) []float32 {
	if !slices.Contains(mode.Unread, true) {
		return rows
	}
	rows = slices.Clone(rows)
	d := len(n.Mean)
	for _, parts := range f.Parts {
		for p, q := range parts {
			if !mode.Unread[p] {
				continue
			}
			for i := q.Lo; i < q.Hi; i++ {
				clear(rows[i*d+n.Split : (i+1)*d])
			}
		}
	}
	return rows
}
