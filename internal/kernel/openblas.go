//go:build (linux || darwin) && (amd64 || arm64) && !static

package kernel

import (
	"errors"
	"fmt"
	"sync"

	"github.com/ebitengine/purego"
)

// openblas is an OpenBLAS library, loaded when it is first asked for.
type openblas struct {
	sgemm func(order, ta, tb, m, n, k int32, alpha float32, a *float32, lda int32,
		b *float32, ldb int32, beta float32, c *float32, ldc int32)
	setThreads func(n int32)
	threads    int32
	mu         *sync.Mutex
}

// openblasNames are tried in order; names without a folder are looked up by
// the system's loader, which honours its own path variables.
func openblasNames() []string {
	return []string{
		"libopenblas.so.0", "libopenblas.so", "libopenblasp.so.0", "libopenblas.dylib",
		"/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0",
		"/usr/lib/aarch64-linux-gnu/openblas-pthread/libopenblas.so.0",
		"/usr/lib64/libopenblas.so.0",
		"/opt/homebrew/opt/openblas/lib/libopenblas.dylib",
		"/usr/local/opt/openblas/lib/libopenblas.dylib",
	}
}

func openOpenBLAS(threads int) (*openblas, error) {
	var errs []error
	for _, name := range openblasNames() {
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		lib := &openblas{threads: int32(threads), mu: new(sync.Mutex)}
		for symbol, fn := range map[string]any{
			"cblas_sgemm":              &lib.sgemm,
			"openblas_set_num_threads": &lib.setThreads,
		} {
			at, err := purego.Dlsym(handle, symbol)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			purego.RegisterFunc(fn, at)
		}
		return lib, nil
	}
	return nil, fmt.Errorf("no library found; install OpenBLAS, put its folder on the loader's path, or use backend \"auto\": %w", errors.Join(errs...))
}

// gemm hands the product to the library. Its number of threads is one setting
// for the whole process, so each call states it.
func (o *openblas) gemm(c Matrix, p Product, m, n, k int) {
	const rowMajor, noTrans, trans = 101, 111, 112
	ta, tb, beta := int32(noTrans), int32(noTrans), float32(0)
	if p.TransA {
		ta = trans
	}
	if p.TransB {
		tb = trans
	}
	if p.Accumulate {
		beta = 1
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.setThreads(o.threads)
	o.sgemm(rowMajor, ta, tb, int32(m), int32(n), int32(k), 1, &p.A.Data[0], int32(p.A.Stride),
		&p.B.Data[0], int32(p.B.Stride), beta, &c.Data[0], int32(c.Stride))
}
