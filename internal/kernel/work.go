package kernel

import (
	"sync/atomic"
	"time"
)

// Work is what an engine has spent so far on the two things that should take
// nearly all of a training step.
type Work struct {
	Gemm  time.Duration // inside Gemm
	Adam  time.Duration // inside AdamStep
	Flops float64       // multiplications and additions of products
}

// Minus is the difference of two readings.
func (w Work) Minus(v Work) Work { return Work{w.Gemm - v.Gemm, w.Adam - v.Adam, w.Flops - v.Flops} }

// Plus is the sum of two readings.
func (w Work) Plus(v Work) Work { return Work{w.Gemm + v.Gemm, w.Adam + v.Adam, w.Flops + v.Flops} }

// work are an engine's running totals.
type work struct{ gemm, adam, flops atomic.Int64 }

// Work reads the engine's running totals.
func (e *Engine) Work() Work {
	return Work{time.Duration(e.work.gemm.Load()), time.Duration(e.work.adam.Load()), float64(e.work.flops.Load())}
}

// countGemm books a product that began at start.
func (e *Engine) countGemm(start time.Time, flops int) {
	e.work.gemm.Add(int64(time.Since(start)))
	e.work.flops.Add(int64(flops))
}
