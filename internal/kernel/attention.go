package kernel

import (
	"math"
	"slices"
)

// Segment is one sequence within a batch of rows: rows [Q, Q+QLen) of q attend
// to rows [K, K+KLen) of k and v. Query i stands at key position KLen-QLen+i;
// KLen is at least QLen, unless all keys are seen (Attention.Full).
type Segment struct{ Q, QLen, K, KLen int }

// Attention is the shape of attention. Query head h reads key-value head
// h/(Heads/KVHeads).
type Attention struct {
	Heads, KVHeads, HeadDim int
	Scale                   float32 // of the scores, before the softmax
	Cap                     float32 // scores s become Cap·tanh(s/Cap); 0: they stay
	Window                  int     // sees that many last keys, its own included; 0: all
	Full                    bool    // sees all keys of the segment, later ones too; Window is not used
}

// visible gives the range of key positions that query i of s sees.
func (a Attention) visible(s Segment, i int) (lo, hi int) {
	if a.Full {
		return 0, s.KLen
	}
	hi = s.KLen - s.QLen + i + 1
	if a.Window > 0 {
		lo = max(0, hi-a.Window)
	}
	return lo, hi
}

// Attend computes softmax(cap(Scale·q·kᵀ))·v for each segment and head. q, out:
// [*, Heads*HeadDim]; k, v: [*, KVHeads*HeadDim]. Rows of out in no segment
// stay as they are. A query's result does not depend on the other queries of
// its segment.
func (e *Engine) Attend(out, q, k, v []float32, a Attention, segs []Segment) {
	e.For(len(segs)*a.KVHeads, 1, func(lo, hi int) {
		var w attendWork
		for t := lo; t < hi; t++ {
			w.load(a, segs[t/a.KVHeads], t%a.KVHeads)
			w.forward(out, q, k, v)
		}
	})
}

// AttendGrad computes dq, dk and dv from dout, [*, Heads*HeadDim], and what
// Attend was given; shapes as there. The probabilities are computed anew. The
// rows of dq, dk and dv that segments cover are overwritten; where segments
// share key rows, the gradients are added in the order of segs.
func (e *Engine) AttendGrad(dq, dk, dv, q, k, v, dout []float32, a Attention, segs []Segment) {
	groups := sharingKeys(segs)
	e.For(len(groups)*a.KVHeads, 1, func(lo, hi int) {
		var w attendWork
		for t := lo; t < hi; t++ {
			group, head := groups[t/a.KVHeads], t%a.KVHeads
			for _, s := range group {
				w.load(a, segs[s], head)
				w.clearKeys(dk)
				w.clearKeys(dv)
			}
			for _, s := range group {
				w.load(a, segs[s], head)
				w.backward(dq, dk, dv, q, k, v, dout)
			}
		}
	})
}

// sharingKeys splits the segments' indices into groups such that no two groups
// touch the same key row. Within a group the order is that of segs.
func sharingKeys(segs []Segment) [][]int {
	order := make([]int, len(segs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return segs[i].K - segs[j].K })
	var groups [][]int
	end := 0
	for _, i := range order {
		s := segs[i]
		if len(groups) == 0 || s.K >= end {
			groups = append(groups, nil)
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], i)
		end = max(end, s.K+s.KLen)
	}
	for _, g := range groups {
		slices.Sort(g)
	}
	return groups
}

// lanes is the number of float32s that the vector primitives take at once;
// scratch rows are padded to a multiple of it.
const lanes = 16

func padded(n int) int { return (n + lanes - 1) / lanes * lanes }

// attendWork is one thread's work on one key-value head of one segment.
type attendWork struct {
	Attention
	seg    Segment
	kvHead int
	group  int       // query heads per key-value head
	qs, ks int       // row strides of q and k
	keys   int       // padded KLen, the row length of what follows
	kt, vt []float32 // [HeadDim, keys], k and v transposed
	p, dp  []float32 // [keys], or [queryBlock, keys] in backward
	capped []float32 // the last query's scores, as far as they were computed; with Cap alone
}

func (w *attendWork) load(a Attention, s Segment, kvHead int) {
	w.Attention, w.seg, w.kvHead = a, s, kvHead
	w.group = a.Heads / a.KVHeads
	w.qs, w.ks = a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	w.keys = padded(s.KLen)
}

// resized returns a slice of n elements, x's own if it is large enough.
func resized(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}

// keyRow is the offset of key position j in k and v.
func (w *attendWork) keyRow(j int) int {
	return (w.seg.K+j)*w.ks + w.kvHead*w.HeadDim
}

// queryRow is the offset of query i of the g-th head of this group in q.
func (w *attendWork) queryRow(i, g int) int {
	return (w.seg.Q+i)*w.qs + (w.kvHead*w.group+g)*w.HeadDim
}

func (w *attendWork) clearKeys(x []float32) {
	for j := range w.seg.KLen {
		clear(x[w.keyRow(j) : w.keyRow(j)+w.HeadDim])
	}
}

// transposed writes this head's part of k or v to scratch, padded with zeros.
func (w *attendWork) transposed(t, x []float32) []float32 {
	t = resized(t, w.HeadDim*w.keys)
	for d := range w.HeadDim {
		clear(t[d*w.keys+w.seg.KLen : (d+1)*w.keys])
	}
	if w.seg.KLen > 0 {
		transpose(t, w.keys, x[w.keyRow(0):], w.ks, w.seg.KLen, w.HeadDim)
	}
	return t
}

// probabilities fills p, [keys], with the attention of the query at qrow over
// positions [lo, hi). Positions outside, down to the multiple of lanes below
// lo and up to that above hi, become 0.
func (w *attendWork) probabilities(p, qrow []float32, lo, hi int) {
	from, to := lo/lanes*lanes, padded(hi)
	p = p[from:to]
	combine(p, qrow, 1, w.kt[from:], w.keys, w.HeadDim, false)
	scale(p, w.Scale)
	if w.Cap > 0 {
		softCap(p, p, w.Cap)
		w.capped = resized(w.capped, len(p))
		copy(w.capped, p)
	}
	ninf := float32(math.Inf(-1))
	for j := from; j < lo; j++ {
		p[j-from] = ninf
	}
	for j := hi; j < to; j++ {
		p[j-from] = ninf
	}
	expTo(p, p, maxOf(p), 1)
	scale(p, 1/blockedSum(p))
}

func (w *attendWork) forward(out, q, k, v []float32) {
	w.kt = w.transposed(w.kt, k)
	w.p = resized(w.p, w.keys)
	for i := range w.seg.QLen {
		lo, hi := w.visible(w.seg, i)
		for g := range w.group {
			at := w.queryRow(i, g)
			w.probabilities(w.p, q[at:at+w.HeadDim], lo, hi)
			combine(out[at:at+w.HeadDim], w.p[lo:], 1, v[w.keyRow(lo):], w.ks, hi-lo, false)
		}
	}
}

// queryBlock is how many queries backward treats before it adds their share to
// dk and dv: it bounds the scratch space.
const queryBlock = 32

// seenBy gives the range of queries of s that see key position j.
func (a Attention) seenBy(s Segment, j int) (lo, hi int) {
	if a.Full {
		return 0, s.QLen
	}
	lo, hi = max(0, j-(s.KLen-s.QLen)), s.QLen
	if a.Window > 0 {
		hi = min(hi, j-(s.KLen-s.QLen)+a.Window)
	}
	return lo, hi
}

// backward adds this segment's share of dk and dv and sets dq. With P the
// probabilities, dP = dout·vᵀ and dS = P∘(dP - Σ P∘dP):
// dq = Scale·dS·k, dk = Scale·dSᵀ·q, dv = Pᵀ·dout. With Cap, dS has the slope
// of the capped scores besides.
func (w *attendWork) backward(dq, dk, dv, q, k, v, dout []float32) {
	w.kt = w.transposed(w.kt, k)
	w.vt = w.transposed(w.vt, v)
	w.p = resized(w.p, queryBlock*w.keys)
	w.dp = resized(w.dp, queryBlock*w.keys)
	for g := range w.group {
		for first := 0; first < w.seg.QLen; first += queryBlock {
			end := min(first+queryBlock, w.seg.QLen)
			for i := first; i < end; i++ {
				at := (i - first) * w.keys
				w.scoreGrad(w.p[at:at+w.keys], w.dp[at:at+w.keys], dq, q, k, dout, i, g)
			}
			from, _ := w.visible(w.seg, first)
			_, to := w.visible(w.seg, end-1)
			for j := from; j < to; j++ {
				lo, hi := w.seenBy(w.seg, j)
				lo, hi = max(lo, first), min(hi, end)
				if lo >= hi {
					continue
				}
				row, at, query := w.keyRow(j), (lo-first)*w.keys+j, w.queryRow(lo, g)
				combine(dk[row:row+w.HeadDim], w.dp[at:], w.keys, q[query:], w.qs, hi-lo, true)
				combine(dv[row:row+w.HeadDim], w.p[at:], w.keys, dout[query:], w.qs, hi-lo, true)
			}
		}
	}
}

// scoreGrad fills p with the probabilities of query i of head g of the group
// and dp with the gradient of its scores, and sets its row of dq. p, dp: [keys].
func (w *attendWork) scoreGrad(p, dp, dq, q, k, dout []float32, i, g int) {
	lo, hi := w.visible(w.seg, i)
	at := w.queryRow(i, g)
	w.probabilities(p, q[at:at+w.HeadDim], lo, hi)
	from, to := lo/lanes*lanes, padded(hi)
	pv, dpv := p[from:to], dp[from:to]
	combine(dpv, dout[at:at+w.HeadDim], 1, w.vt[from:], w.keys, w.HeadDim, false)
	mean := dot(pv, dpv)
	for j, pj := range pv {
		dpv[j] = pj * (dpv[j] - mean) * w.Scale
	}
	if w.Cap > 0 {
		softCapGrad(dpv, w.capped, dpv, w.Cap)
	}
	combine(dq[at:at+w.HeadDim], dp[lo:], 1, k[w.keyRow(lo):], w.ks, hi-lo, false)
}
