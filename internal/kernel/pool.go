package kernel

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxThreads = 1 << 10

	// chunksPerThread is how many ranges a loop is cut into for each thread,
	// so that a thread that was held up leaves its share to the others.
	chunksPerThread = 4

	// spinTime is how long a worker looks for work before it sleeps. Waking
	// it costs some 10 µs; the gaps between kernels are mostly shorter than
	// this.
	spinTime = 100 * time.Microsecond
)

// The state word of a pool: how many workers have joined the current loop,
// whether more may join, and the loop's number.
const (
	joinedMask = 1<<16 - 1
	openBit    = 1 << 16
	loopShift  = 17
)

// pool is a set of goroutines that share loops. The caller of run takes part,
// so a pool of t threads has t-1 workers. A worker that comes late to a loop
// finds it closed and is not waited for.
type pool struct {
	threads int
	workers []poolWorker
	start   sync.Once
	spin    bool

	busy   atomic.Bool
	closed atomic.Bool

	// The current loop. Written only while no worker is joined.
	fn    func(lo, hi int)
	n     int
	chunk int
	fault atomic.Pointer[any] // the first panic of a worker

	_     [64]byte // the two words below are contended, each on its own line
	state atomic.Uint64
	_     [64]byte
	next  atomic.Int64
	_     [64]byte
}

type poolWorker struct {
	asleep atomic.Bool
	wake   chan struct{}
	_      [48]byte
}

func newPool(threads int) *pool {
	return &pool{
		threads: threads,
		workers: make([]poolWorker, threads-1),
		spin:    runtime.GOMAXPROCS(0) >= threads,
	}
}

func (p *pool) launch() {
	for i := range p.workers {
		w := &p.workers[i]
		w.wake = make(chan struct{}, 1)
		go p.serve(w)
	}
}

func (p *pool) run(n, grain int, fn func(lo, hi int)) {
	if n <= 0 {
		return
	}
	chunk := max(grain, (n+chunksPerThread*p.threads-1)/(chunksPerThread*p.threads), 1)
	if p.threads == 1 || chunk >= n || p.closed.Load() || !p.busy.CompareAndSwap(false, true) {
		fn(0, n)
		return
	}
	defer p.finish()
	p.start.Do(p.launch)
	p.fn, p.n, p.chunk = fn, n, chunk
	p.next.Store(0)
	loop := p.state.Load()>>loopShift + 1
	p.state.Store(loop<<loopShift | openBit)
	p.rouse(min(len(p.workers), (n-1)/chunk))
	p.share()
}

// rouse wakes up to n sleeping workers.
func (p *pool) rouse(n int) {
	for i := range p.workers[:n] {
		w := &p.workers[i]
		if w.asleep.Load() && w.asleep.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

// share runs ranges of the current loop until none is left.
func (p *pool) share() {
	for {
		lo := int(p.next.Add(int64(p.chunk))) - p.chunk
		if lo >= p.n {
			return
		}
		p.fn(lo, min(lo+p.chunk, p.n))
	}
}

// finish closes the current loop and waits for the workers that joined it.
func (p *pool) finish() {
	for {
		s := p.state.Load()
		if p.state.CompareAndSwap(s, s&^openBit) {
			break
		}
	}
	for i := 0; p.state.Load()&joinedMask != 0; i++ {
		relax()
		if !p.spin || i > 1000 {
			runtime.Gosched()
		}
	}
	p.fn = nil
	fault := p.fault.Swap(nil)
	p.busy.Store(false)
	if fault != nil {
		panic(*fault)
	}
}

// shareGuarded is share for a worker: a panic ends the loop, and the caller of
// run panics with the same value.
func (p *pool) shareGuarded() {
	defer func() {
		if r := recover(); r != nil {
			p.fault.CompareAndSwap(nil, &r)
			p.next.Store(int64(p.n))
		}
	}()
	p.share()
}

// serve is the life of a worker. Memory of a mapped file that was cut short
// makes it panic, not the program crash.
func (p *pool) serve(w *poolWorker) {
	debug.SetPanicOnFault(true)
	var done uint64 // the last loop this worker took part in
	for {
		idle, since := 0, time.Now()
		for !p.join(&done) {
			if p.closed.Load() {
				return
			}
			relax()
			if idle++; !p.spin || idle%64 == 0 && time.Since(since) > spinTime {
				w.asleep.Store(true)
				if p.ready(done) && w.asleep.CompareAndSwap(true, false) {
					continue
				}
				<-w.wake
			}
		}
		p.shareGuarded()
		p.state.Add(^uint64(0))
	}
}

// ready reports whether there is something for a worker to wake up for.
func (p *pool) ready(done uint64) bool {
	s := p.state.Load()
	return s&openBit != 0 && s>>loopShift != done || p.closed.Load()
}

// join enters the current loop if it is open and new to this worker.
func (p *pool) join(done *uint64) bool {
	s := p.state.Load()
	if s&openBit == 0 || s>>loopShift == *done {
		return false
	}
	if !p.state.CompareAndSwap(s, s+1) {
		return false
	}
	*done = s >> loopShift
	return true
}

// close ends the workers. A loop that is running is finished first.
func (p *pool) close() {
	if p.closed.Swap(true) {
		return
	}
	// After this no launch can follow, and wake channels exist or never will.
	p.start.Do(func() { p.workers = nil })
	p.rouse(len(p.workers))
}
