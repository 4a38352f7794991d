package kernel_test

import (
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/kernel/kerneltest"
)

// engine returns an engine, or skips the test where the machine has none.
func engine(tb testing.TB, backend string, threads int) *kernel.Engine {
	tb.Helper()
	e, err := kernel.New(kernel.Options{Backend: backend, Threads: threads})
	if err != nil {
		tb.Skip(err)
	}
	tb.Cleanup(e.Close)
	return e
}

func TestProductIsRight(t *testing.T) {
	for _, backend := range kernel.Backends()[1:] {
		t.Run(backend, func(t *testing.T) {
			kerneltest.Correct(t, engine(t, backend, 2))
		})
	}
}

func TestProductBytesDoNotDependOnPlace(t *testing.T) {
	for _, backend := range []string{"avx512", "avx2", "go"} {
		t.Run(backend, func(t *testing.T) {
			kerneltest.PlaceIndependent(t, engine(t, backend, 2))
		})
	}
}

func TestProductBytesDoNotDependOnThreads(t *testing.T) {
	one := engine(t, "auto", 1)
	for _, threads := range []int{2, 3, 7} {
		kerneltest.SameBytes(t, one, engine(t, "auto", threads))
	}
}

func TestProductBytesDoNotDependOnInstructions(t *testing.T) {
	plain := engine(t, "go", 2)
	for _, backend := range []string{"avx512", "avx2"} {
		t.Run(backend, func(t *testing.T) {
			kerneltest.SameBytes(t, plain, engine(t, backend, 2))
		})
	}
}

// TestLargeProductBytes takes shapes that the small cases leave out: several
// blocks of rows in the packed A, slices of k, and chunks of panels of every
// size.
func TestLargeProductBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: it takes a second")
	}
	for _, backend := range []string{"avx512", "avx2"} {
		t.Run(backend, func(t *testing.T) {
			e, one := engine(t, backend, 3), engine(t, backend, 1)
			for _, c := range []kerneltest.Case{
				{M: 2000, K: 1700, N: 40, TransB: true},
				{M: 8300, K: 400, N: 33},
				{M: 60, K: 50257, N: 33},
				{M: 30, K: 100000, N: 20, TransB: true, Accumulate: true},
				{M: 100, K: 700, N: 1500, TransA: true, Accumulate: true},
			} {
				kerneltest.CaseIsPlaceIndependent(t, e, c, 5)
				kerneltest.CaseHasSameBytes(t, e, one, c)
			}
		})
	}
}
