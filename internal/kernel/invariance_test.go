package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// rowData is a batch of random rows for the table below.
type rowData struct {
	rows, cols int
	x, y, dy   []float32 // [rows, cols]
	gain, bias []float32 // [cols]
	weight     []float32 // [rows]
	labels     []int32   // [rows]
}

func newRowData(rows, cols int) rowData {
	rng := rand.New(rand.NewPCG(29, uint64(cols)))
	d := rowData{rows, cols, randomRow(rng, rows*cols, 2), randomRow(rng, rows*cols, 2), randomRow(rng, rows*cols, 1),
		randomRow(rng, cols, 1), randomRow(rng, cols, 1), randomRow(rng, rows, 1), make([]int32, rows)}
	for r := range d.labels {
		d.labels[r] = int32(r%(cols+1)) - 1
	}
	return d
}

// part is rows [lo, hi) of d.
func (d rowData) part(lo, hi int) rowData {
	a, b := lo*d.cols, hi*d.cols
	return rowData{hi - lo, d.cols, d.x[a:b], d.y[a:b], d.dy[a:b], d.gain, d.bias, d.weight[lo:hi], d.labels[lo:hi]}
}

// rowKernels lists the kernels that treat rows apart from one another.
var rowKernels = []struct {
	name string
	run  func(e *Engine, d rowData) []float32
}{
	{"LayerNorm", func(e *Engine, d rowData) []float32 {
		out := make([]float32, len(d.x))
		e.LayerNorm(out, d.x, d.gain, d.bias, 1e-5, d.rows, d.cols)
		return out
	}},
	{"LayerNormGrad", func(e *Engine, d rowData) []float32 {
		out := make([]float32, len(d.x))
		e.LayerNormGrad(out, d.x, d.gain, d.dy, 1e-5, d.rows, d.cols)
		return out
	}},
	{"RMSNorm", func(e *Engine, d rowData) []float32 {
		out := make([]float32, len(d.x))
		e.RMSNorm(out, d.x, d.gain, 1e-5, d.rows, d.cols)
		return out
	}},
	{"RMSNormGrad", func(e *Engine, d rowData) []float32 {
		out := make([]float32, len(d.x))
		e.RMSNormGrad(out, d.x, d.gain, d.dy, 1e-5, d.rows, d.cols)
		return out
	}},
	{"GatedSiLU", func(e *Engine, d rowData) []float32 {
		out := make([]float32, len(d.x))
		e.GatedSiLU(out, d.x, d.y)
		return out
	}},
	{"GatedSiLUGrad", func(e *Engine, d rowData) []float32 {
		out, other := make([]float32, len(d.x)), make([]float32, len(d.x))
		e.GatedSiLUGrad(out, other, d.x, d.y, d.dy)
		addTo(out, other)
		return out
	}},
	{"Activate", func(e *Engine, d rowData) []float32 {
		out := make([]float32, len(d.x))
		for kind := GELUTanh; kind <= Tanh; kind++ {
			e.Activate(kind, out, d.x)
			e.ActivateGrad(kind, out, out, d.dy)
		}
		return out
	}},
	{"Softmax", func(e *Engine, d rowData) []float32 {
		out := make([]float32, len(d.x))
		e.Softmax(out, d.x, d.rows, d.cols)
		return out
	}},
	{"CrossEntropyGrad", func(e *Engine, d rowData) []float32 {
		out, nll, lse := make([]float32, len(d.x)), make([]float32, d.rows), make([]float32, d.rows)
		e.CrossEntropy(nll, lse, d.x, d.labels, d.rows, d.cols)
		e.CrossEntropyGrad(out, d.x, lse, d.labels, d.weight, d.rows, d.cols)
		for r, v := range nll {
			out[r*d.cols] += v
		}
		return out
	}},
	{"KLGrad", func(e *Engine, d rowData) []float32 {
		out, kl, lp, lq := make([]float32, len(d.x)), make([]float32, d.rows), make([]float32, d.rows), make([]float32, d.rows)
		e.KL(kl, lp, lq, d.x, d.y, d.rows, d.cols)
		e.KLGrad(out, d.x, d.y, lp, lq, d.weight, d.rows, d.cols)
		for r, v := range kl {
			out[r*d.cols] += v
		}
		return out
	}},
}

func TestRowsGiveTheSameBytesAloneAndWithAnyThreads(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		one := testEngine(t, 1)
		for _, k := range rowKernels {
			for _, shape := range [][2]int{{9, 19}, {7, 2500}, {40, 333}} {
				d := newRowData(shape[0], shape[1])
				want := k.run(one, d)
				for _, threads := range []int{2, 3, 7} {
					sameBits(t, fmt.Sprintf("%s %v with %d threads", k.name, shape, threads), k.run(testEngine(t, threads), d), want)
				}
				for r := range d.rows {
					sameBits(t, fmt.Sprintf("%s %v, row %d alone", k.name, shape, r), k.run(one, d.part(r, r+1)), want[r*d.cols:(r+1)*d.cols])
				}
			}
		}
	})
}

func TestSumsOverRowsDoNotDependOnThreads(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		d := newRowData(70, 1001)
		run := func(threads int) []float32 {
			e := testEngine(t, threads)
			dgain, dbias, drms, sums := slices.Clone(d.gain), slices.Clone(d.bias), slices.Clone(d.gain), slices.Clone(d.bias)
			e.LayerNormParamGrad(dgain, dbias, d.x, d.dy, 1e-5, d.rows, d.cols)
			e.RMSNormParamGrad(drms, d.x, d.dy, 1e-5, d.rows, d.cols)
			e.ColumnSums(sums, d.x, d.rows, d.cols)
			return append(slices.Concat(dgain, dbias, drms, sums), float32(e.SumSquares(d.x)), e.Dot(d.x, d.y))
		}
		want := run(1)
		for _, threads := range []int{2, 3, 7} {
			sameBits(t, fmt.Sprintf("%d threads", threads), run(threads), want)
		}
	})
}

func TestAttentionDoesNotDependOnThreadsOrCompany(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const rows = 61
		a := Attention{Heads: 6, KVHeads: 2, HeadDim: 24, Scale: 0.2}
		rng := rand.New(rand.NewPCG(31, 32))
		q, dout := randomRow(rng, rows*144, 1), randomRow(rng, rows*144, 1)
		k, v := randomRow(rng, rows*48, 1), randomRow(rng, rows*48, 1)
		segs := []Segment{{0, 13, 0, 13}, {13, 30, 13, 30}, {43, 18, 43, 18}}
		run := func(threads int, segs []Segment) (all [4][]float32) {
			e := testEngine(t, threads)
			all = [4][]float32{make([]float32, len(q)), make([]float32, len(q)), make([]float32, len(k)), make([]float32, len(k))}
			e.Attend(all[0], q, k, v, a, segs)
			e.AttendGrad(all[1], all[2], all[3], q, k, v, dout, a, segs)
			return all
		}
		want := run(1, segs)
		for i, name := range []string{"out", "dq", "dk", "dv"} {
			sameBits(t, name+" with 3 threads", run(3, segs)[i], want[i])
			width := len(want[i]) / rows
			sameBits(t, name+" of the middle segment alone", run(1, segs[1:2])[i][13*width:43*width], want[i][13*width:43*width])
		}
	})
}
