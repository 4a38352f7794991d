package keyvalue

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// batchRows bounds the rows that are computed at once.
const batchRows = 2048

// States returns what stands at each of the places at the looked-up token of
// each text, [texts, width] a place. Only the blocks up to the last place are
// computed.
func States(m *lm.Model, o *eager.Ops, texts []Text, places ...nn.Place) ([]kernel.Matrix, error) {
	out := make([]kernel.Matrix, len(places))
	last := 0
	for _, p := range places {
		last = max(last, p.Layer)
	}
	defer func() { o.OnTap = nil }()
	for lo := 0; lo < len(texts); {
		hi := lo + text.Fitting(texts[lo:], func(t Text) int { return len(t.IDs) }, batchRows)
		ids, s, at := packed(texts[lo:hi])
		o.Reset()
		o.OnTap = func(p nn.Place, x kernel.Matrix) {
			for i, place := range places {
				if p != place {
					continue
				}
				if out[i].Data == nil {
					out[i] = kernel.Mat(make([]float32, len(texts)*x.Cols), len(texts), x.Cols)
				}
				for j, row := range at {
					copy(out[i].Data[(lo+j)*x.Cols:(lo+j+1)*x.Cols], x.Data[int(row)*x.Cols:])
				}
			}
		}
		x := lm.Embed[kernel.Matrix](o, m, ids, s)
		lm.Blocks[kernel.Matrix](o, m, x, 0, last+1, s, nil)
		if err := o.Err(); err != nil {
			return nil, err
		}
		lo = hi
	}
	return out, nil
}

// packed lays texts one after another; at are the rows of the looked-up tokens.
func packed(texts []Text) (ids *nn.IDs, s *nn.Sequences, at []int32) {
	list := make([][]int32, len(texts))
	for i, t := range texts {
		list[i] = t.IDs
	}
	ids, s = text.Lay(list...)
	for i, t := range texts {
		at = append(at, int32(s.Segs[i].Q+t.At))
	}
	return ids, s, at
}

// Mean is the mean of rows [from, x.Rows) of x in float64, [width].
func Mean(x kernel.Matrix, from int) []float64 {
	sum := make([]float64, x.Cols)
	for i := from; i < x.Rows; i++ {
		for j := range sum {
			sum[j] += float64(x.Data[i*x.Stride+j])
		}
	}
	for j := range sum {
		sum[j] /= float64(x.Rows - from)
	}
	return sum
}
