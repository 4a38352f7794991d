package trace

import (
	"context"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// batchRows bounds the rows that are computed at once.
const batchRows = 4096

// table restores each token from the subject on in each block. Earlier tokens
// are not touched by the corruption, so that restoring them changes nothing.
func (r *run) table(ctx context.Context, progress func(done, total int)) error {
	n, layers := len(r.ids), r.m.Config.Layers
	r.result.Scores = make([][]float64, n)
	for t := range n {
		r.result.Scores[t] = make([]float64, layers)
		for l := range layers {
			r.result.Scores[t][l] = r.result.Corrupted
		}
	}
	for l := range layers {
		for t := r.first; t < n; {
			if err := ctx.Err(); err != nil {
				return err
			}
			end := t + 1
			for rows := n - t; end < n && (rows+n-end)*r.samples <= batchRows; end++ {
				rows += n - end
			}
			p, err := r.cells(l, t, end)
			if err != nil {
				return err
			}
			for i := range end - t {
				r.result.Scores[t+i][l] = mean(p[i*r.samples : (i+1)*r.samples])
			}
			t = end
		}
		if progress != nil {
			progress(l+1, layers)
		}
	}
	return nil
}

// cell is one sample of one restored token: rows [row, row+len(ids)-token) of
// a batch, whose first is the token's.
type cell struct{ token, sample, row int }

// cells restores tokens [from, to) around block l, each in all samples, and
// returns the answer's probabilities, [tokens, samples].
func (r *run) cells(l, from, to int) ([]float64, error) {
	n, layers := len(r.ids), r.m.Config.Layers
	lo, hi := l, min(layers, l+(r.window+1)/2)
	begin := l + 1 // the first block to compute
	if r.cfg.Restore != Hidden {
		lo = max(0, l-r.window/2)
		begin = lo
	}
	r.o.Reset()
	var cells []cell
	s, want := &nn.Sequences{Past: r.bad.keys}, &nn.RowSet{}
	for t := from; t < to; t++ {
		for sample := range r.samples {
			c := cell{t, sample, s.Rows()}
			cells = append(cells, c)
			before := make([]int32, t)
			for p := range before {
				before[p] = ^int32(sample*n + p)
			}
			s.Behind(before, n-t)
			want.V = append(want.V, int32(s.Rows()-1))
		}
	}
	x := r.entering(begin, cells, s.Rows())
	if r.cfg.Restore == Hidden {
		overwrite(x, cells, r.good.hidden[l], 0)
	}
	r.o.OnTap = r.hook(lo, hi, l, cells)
	x = lm.Blocks[kernel.Matrix](r.o, r.m, x, begin, layers, s, want)
	r.o.OnTap = nil
	if begin == layers {
		x = r.o.Rows(x, want)
	}
	return r.answer(lm.FinalNorm[kernel.Matrix](r.o, r.m, x))
}

// entering is the corrupted run's state in front of block begin, for the rows
// of the cells.
func (r *run) entering(begin int, cells []cell, rows int) kernel.Matrix {
	from, d, n := r.bad.in, r.m.Config.Width, len(r.ids)
	if begin > 0 {
		from = r.bad.hidden[begin-1]
	}
	x := r.o.Alloc(rows, d)
	for _, c := range cells {
		src := from[(c.sample*n+c.token)*d : (c.sample+1)*n*d]
		copy(x.Data[c.row*d:], src)
	}
	return x
}

// overwrite sets the first row of each cell to its token's row of states, which
// has stride rows a sample, or 0 if all samples share them.
func overwrite(x kernel.Matrix, cells []cell, states []float32, stride int) {
	w := x.Cols
	for _, c := range cells {
		row := (c.sample*stride + c.token) * w
		copy(x.Data[c.row*w:(c.row+1)*w], states[row:row+w])
	}
}

// hook sets the restored modules to their clean outputs in blocks [lo, hi),
// and severed ones behind block l to their corrupted ones.
func (r *run) hook(lo, hi, l int, cells []cell) func(nn.Place, kernel.Matrix) {
	restored, severed := component(r.cfg.Restore), component(r.cfg.Sever)
	n := len(r.ids)
	// In the last block only the last row of each cell is left behind attention.
	var lasts []cell
	for i, c := range cells {
		if c.token == n-1 {
			lasts = append(lasts, cell{c.token, c.sample, i})
		}
	}
	return func(p nn.Place, x kernel.Matrix) {
		at := cells
		if p.Layer == r.m.Config.Layers-1 && p.At != nn.AttnOut {
			at = lasts
		}
		switch {
		case r.cfg.Restore != Hidden && p.At == restored && p.Layer >= lo && p.Layer < hi:
			overwrite(x, at, r.good.at(restored)[p.Layer], 0)
		case r.cfg.Sever != None && p.At == severed && p.Layer > l:
			overwrite(x, at, r.bad.at(severed)[p.Layer], n)
		}
	}
}

// component is where the outputs of a kind of module are announced.
func component(kind string) nn.Component {
	switch kind {
	case MLP:
		return nn.MLPOut
	case Attn:
		return nn.AttnOut
	}
	return nn.BlockOut
}
