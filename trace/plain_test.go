package trace

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// plain is the table as the reference computes it: a forward run of the whole
// prompt, all samples, for each cell.
func (r *run) plain(c Corruption) ([][]float64, error) {
	scores := make([][]float64, len(r.ids))
	for t := range r.ids {
		scores[t] = make([]float64, r.m.Config.Layers)
		for l := range r.m.Config.Layers {
			p, err := r.plainCell(c, func(token, layer int) bool { return token == t && r.inWindow(l, layer) },
				func(token, layer int) bool { return token == t && layer > l })
			if err != nil {
				return nil, err
			}
			scores[t][l] = mean(p)
		}
	}
	return scores, nil
}

// inWindow reports whether a cell of block l restores block layer.
func (r *run) inWindow(l, layer int) bool {
	if r.cfg.Restore == Hidden {
		return layer == l
	}
	return layer >= max(0, l-r.window/2) && layer < min(r.m.Config.Layers, l+(r.window+1)/2)
}

// plainCell is one forward run of all samples, with the states of restore set
// to the clean ones and those of sever to the corrupted ones.
func (r *run) plainCell(c Corruption, restore, sever func(token, layer int) bool) ([]float64, error) {
	n := len(r.ids)
	ids, last, lengths := &nn.IDs{}, &nn.RowSet{}, make([]int, c.Samples)
	for s := range c.Samples {
		lengths[s] = n
		ids.V = append(ids.V, r.ids...)
		last.V = append(last.V, int32((s+1)*n-1))
	}
	set := func(x kernel.Matrix, p nn.Place, states []float32, stride int, chosen func(token, layer int) bool) {
		for s := range c.Samples {
			for t := range n {
				if chosen(t, p.Layer) {
					row := (s*stride + t) * x.Cols
					copy(x.Data[(s*n+t)*x.Cols:(s*n+t+1)*x.Cols], states[row:])
				}
			}
		}
	}
	r.o.Reset()
	r.o.OnTap = func(p nn.Place, x kernel.Matrix) {
		switch {
		case p.At == nn.Embedding:
			c.apply(x, n, r.first, r.end-r.first)
		case p.At == component(r.cfg.Restore):
			set(x, p, r.good.at(p.At)[p.Layer], 0, restore)
		case r.cfg.Sever != None && p.At == component(r.cfg.Sever):
			set(x, p, r.bad.at(p.At)[p.Layer], n, sever)
		}
	}
	final := lm.Forward[kernel.Matrix](r.o, r.m, ids, nn.Pack(lengths...), nil)
	r.o.OnTap = nil
	return r.answer(r.o.Rows(final, last))
}
