package kernel

import (
	"sync/atomic"
	"unsafe"
)

// The blocked product, after Goto and van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication" (2008), and BLIS.
//
// op(A) is packed into groups of rows, each group [k][aw] for one block of k;
// op(B) into panels of columns, each [k][nr]. A tile of C is one group by one
// panel. All threads pack A together; then each takes chunks of panels, packs
// them into a buffer of its own that fits its second-level cache, and runs
// down the groups. An A that is too large is taken in slices of whole blocks
// of k, so that B is still packed only once.
const (
	maxBlockK = 384     // longest block of k; part of the order of sums
	stepK     = 16      // blocks of k are multiples of this, but for the last
	maxPackA  = 3 << 20 // most elements of packed A
	chunkCols = 256     // most columns of B packed at a time
	soloWork  = 1 << 18 // products of fewer multiply-adds stay on one thread
)

// blockK is the length of the blocks that k is cut into.
func blockK(k int) int {
	blocks := (k + maxBlockK - 1) / maxBlockK
	size := (k + blocks - 1) / blocks
	return (size + stepK - 1) / stepK * stepK
}

// gemmJob is a product under way and the memory that it packs into.
type gemmJob struct {
	arch
	tileShape
	c       Matrix
	p       Product
	n, k    int
	kb      int
	row, m  int // the rows of C in hand: [row, row+m)
	from    int // the slice of k in hand: [from, to)
	to      int
	groups  int
	panels  int
	parts   int // the groups are cut into this many parts
	threads int

	packedA []float32
	packedB [][]float32 // for each thread

	pack, work func(lo, hi int) // packGroups and compute, bound once

	_    [64]byte
	next atomic.Int64 // the next unit of work: a panel, or a panel and a part
	_    [64]byte
}

func (e *Engine) job() *gemmJob {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.free); n > 0 {
		j := e.free[n-1]
		e.free = e.free[:n-1]
		return j
	}
	j := &gemmJob{arch: e.arch, tileShape: e.arch.shape(), threads: e.pool.threads}
	j.packedB = make([][]float32, j.threads)
	j.pack, j.work = j.packGroups, j.compute
	return j
}

func (e *Engine) release(j *gemmJob) {
	j.c, j.p = Matrix{}, Product{}
	e.mu.Lock()
	e.free = append(e.free, j)
	e.mu.Unlock()
}

// aligned returns buf if it holds n elements, else a new one, which starts at
// a cache line.
func aligned(buf []float32, n int) []float32 {
	const line = 16
	if len(buf) >= n {
		return buf
	}
	buf = make([]float32, n+line)
	skip := -int(uintptr(unsafe.Pointer(&buf[0]))/4) & (line - 1)
	return buf[skip : skip+n]
}

func (j *gemmJob) multiply(e *Engine, c Matrix, p Product, m, n, k int) {
	j.c, j.p, j.n, j.k = c, p, n, k
	j.kb = blockK(k)
	j.panels = (n + j.nr - 1) / j.nr
	most := max(maxPackA/(j.kb*j.aw), 1) * j.mr
	solo := float64(m)*float64(n)*float64(k) < soloWork
	for j.row = 0; j.row < m; j.row += j.m {
		j.m = min(most, m-j.row)
		j.groups = (j.m + j.mr - 1) / j.mr
		j.parts = 1
		if want := chunksPerThread * j.threads; j.threads > 1 && j.panels < want {
			j.parts = max(min((want+j.panels-1)/j.panels, j.groups/4), 1)
		}
		depth := j.slice()
		j.packedA = aligned(j.packedA, j.groups*j.aw*min(depth, k))
		for j.from = 0; j.from < k; j.from = j.to {
			j.to = min(j.from+depth, k)
			j.next.Store(0)
			if solo {
				j.packGroups(0, j.groups)
				j.compute(0, 1)
				continue
			}
			e.For(j.groups, max(1, (1<<14)/(depth*j.aw)), j.pack)
			e.For(j.threads, 1, j.work)
		}
	}
}

// slice is the length of the slices of k, in whole blocks: as few slices as
// fit, all about equally long.
func (j *gemmJob) slice() int {
	blocks := (j.k + j.kb - 1) / j.kb
	most := max(maxPackA/(j.groups*j.aw*j.kb), 1)
	slices := (blocks + most - 1) / most
	return (blocks + slices - 1) / slices * j.kb
}

// groupAt is the packed group g for the block of k that starts at k0 and is
// kc long.
func (j *gemmJob) groupAt(g, k0, kc int) *float32 {
	return &j.packedA[((k0-j.from)*j.groups+g*kc)*j.aw]
}

func (j *gemmJob) packGroups(lo, hi int) {
	a := j.p.A
	for g := lo; g < hi; g++ {
		i := j.row + g*j.mr
		rows := min(j.mr, j.row+j.m-i)
		for k0 := j.from; k0 < j.to; k0 += j.kb {
			kc := min(j.kb, j.to-k0)
			dst := j.groupAt(g, k0, kc)
			if j.p.TransA {
				j.packRows(dst, j.aw, &a.Data[k0*a.Stride+i], a.Stride, rows, kc)
			} else {
				j.packTrans(dst, j.aw, &a.Data[i*a.Stride+k0], a.Stride, rows, kc, 0)
			}
		}
	}
}

// packPanels packs columns [col, end) of op(B), rows [k0, k0+kc), into dst.
func (j *gemmJob) packPanels(dst []float32, col, end, k0, kc int) {
	if j.p.TransB {
		j.packPanelsTrans(dst, col, end, k0, kc)
		return
	}
	// A few rows at a time, to read them in long runs.
	b, lanes := j.p.B, j.nr/2
	for p := 0; p < kc; p += stepK {
		rows := min(stepK, kc-p)
		for c, at := col, 0; c < end; c, at = c+lanes, at+1 {
			to := &dst[at/2*j.nr*kc+at%2*lanes+p*j.nr]
			j.packRows(to, j.nr, &b.Data[(k0+p)*b.Stride+c], b.Stride, min(lanes, end-c), rows)
		}
	}
}

// packPanelsTrans is packPanels where the columns of op(B) are rows of B.
//
// When op(A) has few rows, B streams from memory and is used little: its next
// panel is then prefetched, in the order in which it lies in memory, since
// walking many rows side by side defeats the processor's own prefetching.
func (j *gemmJob) packPanelsTrans(dst []float32, col, end, k0, kc int) {
	b, lanes := j.p.B, j.nr/2
	var ahead uintptr
	if j.streams() && end < j.n && j.to-j.from == j.k {
		ahead = uintptr(unsafe.Pointer(&b.Data[end*b.Stride])) + uintptr(4*j.nr*k0)
	}
	for c, at := col, 0; c < end; c, at = c+lanes, at+1 {
		to := &dst[at/2*j.nr*kc+at%2*lanes]
		j.packTrans(to, j.nr, &b.Data[c*b.Stride+k0], b.Stride, min(lanes, end-c), kc, ahead)
		ahead += uintptr(4 * lanes * kc)
	}
}

// streams reports whether reading B takes longer than computing with it.
func (j *gemmJob) streams() bool { return j.groups <= 4 }

// take claims the next units of work: count panels from panel on, for one part
// of the groups. Claims shrink towards the end so that threads end together.
func (j *gemmJob) take() (panel, count, part int) {
	units := int64(j.panels * j.parts)
	for {
		next := j.next.Load()
		left := units - next
		if left <= 0 {
			return 0, 0, 0
		}
		claim := int64(1)
		if j.parts == 1 {
			claim = max(min(left/int64(2*j.threads), int64(chunkCols/j.nr)), 1)
		}
		if j.next.CompareAndSwap(next, next+claim) {
			return int(next) % j.panels, int(claim), int(next) / j.panels
		}
	}
}

// compute is one thread's share of a product; slot names the thread's buffer.
func (j *gemmJob) compute(slot, _ int) {
	for {
		panel, count, part := j.take()
		if count == 0 {
			return
		}
		buf := aligned(j.packedB[slot], chunkCols*j.kb)
		j.packedB[slot] = buf
		first, last := j.groups*part/j.parts, j.groups*(part+1)/j.parts
		step := count * j.nr
		if j.streams() && j.p.TransB {
			step = j.nr
		}
		for col, to := panel*j.nr, min(j.n, (panel+count)*j.nr); col < to; col += step {
			end := min(to, col+step)
			for k0 := j.from; k0 < j.to; k0 += j.kb {
				kc := min(j.kb, j.to-k0)
				j.packPanels(buf, col, end, k0, kc)
				j.tiles(buf, col, end, first, last, k0, kc)
			}
		}
	}
}

// tiles computes columns [col, end) of C for the groups [first, last).
func (j *gemmJob) tiles(buf []float32, col, end, first, last, k0, kc int) {
	add := k0 > 0 || j.p.Accumulate
	for g := first; g < last; g++ {
		i := j.row + g*j.mr
		rows := min(j.mr, j.row+j.m-i)
		a := j.groupAt(g, k0, kc)
		for c := col; c < end; c += j.nr {
			b := &buf[(c-col)*kc]
			j.tile(rows, min(j.nr, end-c), kc, a, b, &j.c.Data[i*j.c.Stride+c], j.c.Stride, add)
		}
	}
}
