package kernel

import (
	"fmt"
	"runtime"
	"sync"
)

// Options choose how an Engine computes. The zero value is the default:
// as many threads as the machine has cores, this package's own product with
// the widest instructions that the machine has.
type Options struct {
	Threads int    // number of threads; 0 means runtime.NumCPU()
	Backend string // one of Backends; "" means "auto"
}

// Backends lists the values of Options.Backend.
//
// auto is the best of avx512, avx2 and go, which give the same bytes; go runs
// everywhere. openblas looks for an OpenBLAS library when the program runs; it
// keeps none of this package's promises about bytes.
func Backends() []string { return []string{"auto", "avx512", "avx2", "go", "openblas"} }

// Engine runs kernels on a fixed number of threads. Make one engine for each
// concurrent computation: an engine used by several goroutines at once stays
// right, but only one of them gets its threads.
//
// The threads start with the first parallel call, sleep when there is nothing
// to do, and end with Close or when the engine is garbage.
type Engine struct {
	pool *pool
	arch arch
	blas *openblas // nil unless asked for

	work work
	mu   sync.Mutex
	free []*gemmJob
}

// New returns an engine, or an error when the options cannot be met.
func New(o Options) (*Engine, error) {
	if o.Threads < 0 {
		return nil, fmt.Errorf("threads: %d is negative; use 0 for all cores", o.Threads)
	}
	if o.Threads > maxThreads {
		return nil, fmt.Errorf("threads: %d is more than %d", o.Threads, maxThreads)
	}
	if o.Threads == 0 {
		o.Threads = min(runtime.NumCPU(), maxThreads)
	}
	e := &Engine{arch: bestArch()}
	switch o.Backend {
	case "", "auto":
	case "openblas":
		lib, err := openOpenBLAS(o.Threads)
		if err != nil {
			return nil, fmt.Errorf("backend openblas: %w", err)
		}
		e.blas = lib
	default:
		a, ok := archNamed(o.Backend)
		if !ok {
			return nil, fmt.Errorf("backend: %q is unknown; use one of %q", o.Backend, Backends())
		}
		if !a.available() {
			return nil, fmt.Errorf("backend: this machine cannot run %q; use \"auto\"", o.Backend)
		}
		e.arch = a
	}
	e.pool = newPool(o.Threads)
	runtime.AddCleanup(e, func(p *pool) { p.close() }, e.pool)
	return e, nil
}

// Threads is the number of threads the engine uses.
func (e *Engine) Threads() int { return e.pool.threads }

// Backend names what computes the products: avx512, avx2, go or openblas.
func (e *Engine) Backend() string {
	if e.blas != nil {
		return "openblas"
	}
	return e.arch.String()
}

// Close ends the engine's threads. The engine may still be used: it then
// computes on the calling goroutine.
func (e *Engine) Close() { e.pool.close() }

// For calls fn on consecutive ranges that cover [0, n), each at least grain
// long (the last may be shorter), from the engine's threads. fn must write
// only what belongs to its range, and its result must not depend on where the
// ranges are cut. For returns when all calls have returned. A For inside fn
// runs on the goroutine that calls it.
func (e *Engine) For(n, grain int, fn func(lo, hi int)) { e.pool.run(n, grain, fn) }
