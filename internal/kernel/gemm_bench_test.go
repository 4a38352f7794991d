package kernel_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"keyhole.example/keyhole/internal/kernel"
)

// benchShapes are products of the models in use: [m, n] = [m, k]·[k, n].
var benchShapes = []struct {
	name           string
	m, k, n        int
	transA, transB bool
	add            bool
}{
	{"attn/520x576x576", 520, 576, 576, false, true, false},
	{"attn/520x576x192", 520, 576, 192, false, true, false},
	{"mlp/520x576x1536", 520, 576, 1536, false, true, false},
	{"mlp/520x1536x576", 520, 1536, 576, false, true, false},
	{"head/170x576x49152", 170, 576, 49152, false, true, false},
	{"net/1000x2112x1920", 1000, 2112, 1920, false, true, false},
	{"net/1000x1920x2112", 1000, 1920, 2112, false, true, false},
	{"net/dx/1000x1920x2112", 1000, 1920, 2112, false, false, false},
	{"net/dw/1920x1000x2112", 1920, 1000, 2112, true, false, true},
	{"net/5x1920x2112", 5, 1920, 2112, false, true, false},
	{"net/15x1920x2112", 15, 1920, 2112, false, true, false},
	{"attn/50x576x576", 50, 576, 576, false, true, false},
	{"gpt2/520x768x3072", 520, 768, 3072, false, false, false},
	{"gpt2/520x3072x768", 520, 3072, 768, false, false, false},
	{"generate/1x576x1536", 1, 576, 1536, false, true, false},
	{"generate/1x576x49152", 1, 576, 49152, false, true, false},
	{"generate/1x768x3072", 1, 768, 3072, false, false, false},
	{"generate/1x768x50257", 1, 768, 50257, false, true, false},
	{"head-of-attention/55x64x55", 55, 64, 55, false, true, false},
}

func BenchmarkGemm(b *testing.B) {
	for _, s := range benchShapes {
		for _, threads := range []int{1, 2} {
			for _, backend := range kernel.Backends() {
				if backend == "auto" || backend == "go" {
					continue
				}
				b.Run(fmt.Sprintf("%s/threads=%d/%s", s.name, threads, backend), func(b *testing.B) {
					e := engine(b, backend, threads)
					rng := rand.New(rand.NewPCG(1, 1))
					random := func(rows, cols int, trans bool) kernel.Matrix {
						if trans {
							rows, cols = cols, rows
						}
						x := make([]float32, rows*cols)
						for i := range x {
							x[i] = float32(rng.NormFloat64())
						}
						return kernel.Mat(x, rows, cols)
					}
					p := kernel.Product{
						A: random(s.m, s.k, s.transA), B: random(s.k, s.n, s.transB),
						TransA: s.transA, TransB: s.transB, Accumulate: s.add,
					}
					c := kernel.Mat(make([]float32, s.m*s.n), s.m, s.n)
					e.Gemm(c, p)
					b.ReportAllocs()
					best := time.Duration(math.MaxInt64)
					for b.Loop() {
						start := time.Now()
						e.Gemm(c, p)
						best = min(best, time.Since(start))
					}
					gflop := 2 * float64(s.m) * float64(s.k) * float64(s.n) / 1e9
					b.ReportMetric(gflop*float64(b.N)/b.Elapsed().Seconds(), "GFLOP/s")
					// On a machine that others use too, the best says more.
					b.ReportMetric(gflop/best.Seconds(), "best-GFLOP/s")
				})
			}
		}
	}
}

func BenchmarkFor(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			e := engine(b, "auto", threads)
			fn := func(lo, hi int) {}
			b.ReportAllocs()
			for b.Loop() {
				e.For(threads, 1, fn)
			}
		})
	}
}
