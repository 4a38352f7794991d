package kernel

import (
	"math/rand/v2"
	"testing"
)

func benchEngine(b *testing.B) *Engine {
	b.Helper()
	e, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

func BenchmarkRows(b *testing.B) {
	e := benchEngine(b)
	rng := rand.New(rand.NewPCG(1, 1))
	const rows, vocab = 170, 49152
	p, q, out := randomRow(rng, rows*vocab, 3), randomRow(rng, rows*vocab, 3), make([]float32, rows*vocab)
	nll, lse, lse2, weight := make([]float32, rows), make([]float32, rows), make([]float32, rows), make([]float32, rows)
	labels, arg := make([]int32, rows), make([]int32, rows)
	e.KL(nll, lse, lse2, p, q, rows, vocab)
	const tokens, width, hidden = 520, 576, 1536
	gate, up, dy := p[:tokens*hidden], q[:tokens*hidden], p[tokens*hidden:2*tokens*hidden]
	gain := randomRow(rng, width, 1)
	for _, c := range []struct {
		name string
		n    int // elements
		f    func()
	}{
		{"CrossEntropy/170x49152", rows * vocab, func() { e.CrossEntropy(nll, lse, p, labels, rows, vocab) }},
		{"CrossEntropyGrad/170x49152", rows * vocab, func() { e.CrossEntropyGrad(out, p, lse, labels, weight, rows, vocab) }},
		{"KL/170x49152", rows * vocab, func() { e.KL(nll, lse, lse2, p, q, rows, vocab) }},
		{"KLGrad/170x49152", rows * vocab, func() { e.KLGrad(out, p, q, lse, lse2, weight, rows, vocab) }},
		{"ArgMax/170x49152", rows * vocab, func() { e.ArgMax(arg, p, rows, vocab) }},
		{"GatedSiLU/520x1536", tokens * hidden, func() { e.GatedSiLU(out[:len(gate)], gate, up) }},
		{"GatedSiLUGrad/520x1536", tokens * hidden, func() { e.GatedSiLUGrad(out[:len(gate)], out[len(gate):2*len(gate)], gate, up, dy) }},
		{"GELUTanh/520x1536", tokens * hidden, func() { e.Activate(GELUTanh, out[:len(gate)], gate) }},
		{"RMSNorm/520x576", tokens * width, func() { e.RMSNorm(out[:tokens*width], p[:tokens*width], gain, 1e-5, tokens, width) }},
		{"RMSNormGrad/520x576", tokens * width, func() {
			e.RMSNormGrad(out[:tokens*width], p[:tokens*width], gain, dy[:tokens*width], 1e-5, tokens, width)
		}},
		{"LayerNorm/520x576", tokens * width, func() {
			e.LayerNorm(out[:tokens*width], p[:tokens*width], gain, gain, 1e-5, tokens, width)
		}},
		{"LayerNormParamGrad/520x576", tokens * width, func() {
			e.LayerNormParamGrad(out[:width], out[width:2*width], p[:tokens*width], dy[:tokens*width], 1e-5, tokens, width)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(c.n)/float64(b.N), "ns/element")
		})
	}
}

func BenchmarkAdamStep(b *testing.B) {
	e := benchEngine(b)
	const n = 32 << 20
	w, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	for _, x := range [][]float32{w, g, m, v} { // touch the pages before the clock starts
		for i := range x {
			x[i] = 1e-3
		}
	}
	step := 0
	for b.Loop() {
		step++
		e.AdamStep(w, g, m, v, Adam{LR: 1e-5, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, step, 1)
	}
	b.ReportMetric(32*n*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s") // four numbers read, four written
}

func BenchmarkAttention(b *testing.B) {
	e := benchEngine(b)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		name          string
		segs, tokens  int
		heads, kvHead int
	}{
		{"26x20tokens/9of3heads", 26, 20, 9, 3},
		{"8x60tokens/12heads", 8, 60, 12, 12},
		{"1x1024tokens/12heads", 1, 1024, 12, 12},
	} {
		rows := c.segs * c.tokens
		q, k, v := randomRow(rng, rows*c.heads*64, 1), randomRow(rng, rows*c.kvHead*64, 1), randomRow(rng, rows*c.kvHead*64, 1)
		out, dk, dv := make([]float32, len(q)), make([]float32, len(k)), make([]float32, len(k))
		a := Attention{Heads: c.heads, KVHeads: c.kvHead, HeadDim: 64, Scale: 0.125}
		var segs []Segment
		for s := range c.segs {
			segs = append(segs, Segment{s * c.tokens, c.tokens, s * c.tokens, c.tokens})
		}
		b.Run("forward/"+c.name, func(b *testing.B) {
			for b.Loop() {
				e.Attend(out, q, k, v, a, segs)
			}
		})
		b.Run("gradient/"+c.name, func(b *testing.B) {
			for b.Loop() {
				e.AttendGrad(out, dk, dv, q, k, v, q, a, segs)
			}
		})
	}
}
