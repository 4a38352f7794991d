package kernel_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyhole.example/keyhole/internal/kernel"
)

// cover runs a loop and returns how often each index was visited, and the
// lengths of the ranges.
func cover(e *kernel.Engine, n, grain int) (visits []int32, lengths []int) {
	visits = make([]int32, n)
	var mu sync.Mutex
	e.For(n, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			visits[i]++
		}
		mu.Lock()
		lengths = append(lengths, hi-lo)
		mu.Unlock()
	})
	return visits, lengths
}

func TestForVisitsEachIndexOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		e := engine(t, "auto", threads)
		for _, n := range []int{0, 1, 2, 3, 7, 64, 1000, 4099} {
			for _, grain := range []int{-1, 0, 1, 3, 64, 5000} {
				visits, lengths := cover(e, n, grain)
				for i, v := range visits {
					if v != 1 {
						t.Fatalf("threads %d, n %d, grain %d: index %d visited %d times", threads, n, grain, i, v)
					}
				}
				short := 0
				for _, l := range lengths {
					if l < grain {
						short++
					}
				}
				if short > 1 {
					t.Errorf("threads %d, n %d, grain %d: %d ranges are shorter than the grain: %v", threads, n, grain, short, lengths)
				}
			}
		}
	}
}

func TestForUsesItsThreads(t *testing.T) {
	e := engine(t, "auto", 3)
	for range 20 { // workers may be asleep, running, or falling asleep
		var inside atomic.Int32
		deadline := time.Now().Add(10 * time.Second)
		e.For(3, 1, func(int, int) {
			inside.Add(1)
			for inside.Load() < 3 && time.Now().Before(deadline) {
				runtime.Gosched()
			}
		})
		if inside.Load() != 3 || !time.Now().Before(deadline) {
			t.Fatal("three ranges did not run at the same time")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestNestedForRunsInline(t *testing.T) {
	e := engine(t, "auto", 2)
	var sum atomic.Int64
	e.For(8, 1, func(lo, hi int) {
		for range hi - lo {
			e.For(100, 1, func(lo, hi int) { sum.Add(int64(hi - lo)) })
		}
	})
	if sum.Load() != 800 {
		t.Errorf("nested loops visited %d indices, want 800", sum.Load())
	}
}

func TestConcurrentUseStaysRight(t *testing.T) {
	e := engine(t, "auto", 2)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				visits, _ := cover(e, 300, 1)
				for _, v := range visits {
					if v != 1 {
						t.Error("an index was not visited exactly once")
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestPanicInLoopLeavesEngineUsable(t *testing.T) {
	e := engine(t, "auto", 1)
	func() {
		defer func() { _ = recover() }()
		e.For(10, 1, func(int, int) { panic("stop") })
	}()
	if visits, _ := cover(e, 5, 1); visits[4] != 1 {
		t.Error("the loop after a panic did not run")
	}
}

func TestCloseEndsThreads(t *testing.T) {
	before := runtime.NumGoroutine()
	e, err := kernel.New(kernel.Options{Threads: 4})
	if err != nil {
		t.Fatal(err)
	}
	cover(e, 100, 1)
	e.Close()
	e.Close()
	waitForGoroutines(t, before)
	if visits, _ := cover(e, 5, 1); visits[4] != 1 {
		t.Error("a closed engine does not compute")
	}
}

func TestForgottenEngineEndsItsThreads(t *testing.T) {
	before := runtime.NumGoroutine()
	func() {
		e, err := kernel.New(kernel.Options{Threads: 4})
		if err != nil {
			t.Fatal(err)
		}
		cover(e, 100, 1)
	}()
	waitForGoroutines(t, before)
}

func waitForGoroutines(t *testing.T, want int) {
	t.Helper()
	for range 200 {
		runtime.GC()
		if runtime.NumGoroutine() <= want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines are left, want at most %d", runtime.NumGoroutine(), want)
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	e := engine(t, "auto", 2)
	a, b, c := make([]float32, 200*100), make([]float32, 300*100), make([]float32, 200*300)
	fn := func(int, int) {}
	if n := testing.AllocsPerRun(50, func() {
		e.For(100, 1, fn)
		e.Gemm(kernel.Mat(c, 200, 300), kernel.Product{A: kernel.Mat(a, 200, 100), B: kernel.Mat(b, 300, 100), TransB: true})
	}); n != 0 {
		t.Errorf("%v allocations a call, want 0", n)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []kernel.Options{{Threads: -1}, {Threads: 1 << 20}, {Backend: "mkl"}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			if _, err := kernel.New(o); err == nil {
				t.Error("no error")
			}
		})
	}
	e := engine(t, "go", 3)
	if e.Backend() != "go" || e.Threads() != 3 {
		t.Errorf("got backend %s with %d threads", e.Backend(), e.Threads())
	}
}

func TestPool_a_panic_of_a_worker_is_the_callers(t *testing.T) {
	p, err := kernel.New(kernel.Options{Threads: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 50 {
		func() {
			defer func() {
				if r := recover(); r != "boom" {
					t.Errorf("recovered %v", r)
				}
			}()
			p.For(1000, 1, func(lo, hi int) {
				if lo <= 500 && 500 < hi {
					panic("boom")
				}
			})
			t.Error("no panic")
		}()
	}
	var sum atomic.Int64 // the pool works on
	p.For(1000, 1, func(lo, hi int) { sum.Add(int64(hi - lo)) })
	if sum.Load() != 1000 {
		t.Errorf("%d of 1000", sum.Load())
	}
}
