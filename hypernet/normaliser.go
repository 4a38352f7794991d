package hypernet

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// Normaliser keeps running mean and variance of rows [D] and divides by them.
// Everything that it remembers is in State.
type Normaliser struct {
	State
	Off   bool    // update the statistics, but do not divide
	Exact bool    // round as the reference does: row by row, in float32
	Floor float64 // smallest deviation, as a share of the median; 0: none
	// Pooled is MALMEN's: all rows of a step are counted before the first is
	// divided, and one row alone is divided to 0. With Exact each block's scatter
	// is too large by n/(n−1), as the reference has it.
	Pooled bool
	Split  int // u is [0, Split), δ the rest: each has its own median
}

// State is what a normaliser remembers: count, means and sums of squared
// deviations of each column.
type State struct {
	K       int64
	Mean, S []float64
}

// Clone is a copy that shares nothing with s.
func (s State) Clone() State {
	return State{K: s.K, Mean: slices.Clone(s.Mean), S: slices.Clone(s.S)}
}

// What is added to deviations: by MEND, and by MALMEN, which adds it to the
// number of rows as well.
const (
	normEps   = 1e-7
	pooledEps = 1.0 / (1 << 23)
)

// NewNormaliser returns a normaliser that has seen nothing of rows of width d.
func NewNormaliser(d, split int) *Normaliser {
	return &Normaliser{State: State{Mean: make([]float64, d), S: make([]float64, d)}, Split: split}
}

// Update merges rows [n, D] into the statistics (Chan's parallel form of the
// reference's row-by-row update; equal up to rounding).
func (n *Normaliser) Update(rows []float32) { n.update(rows, oneThread) }

// spread calls fn on ranges of columns that cover [0, d), possibly at the same
// time.
type spread func(d int, fn func(lo, hi int))

func oneThread(d int, fn func(lo, hi int)) { fn(0, d) }

func (n *Normaliser) update(rows []float32, s spread) {
	d := len(n.Mean)
	count := len(rows) / d
	if count == 0 {
		return
	}
	bias := 1.0
	switch {
	case n.Exact && n.Pooled:
		bias = float64(count) / float64(count-1)
	case n.Exact:
		n.updateRows(rows)
		return
	}
	s(d, func(lo, hi int) { n.merge(rows, lo, hi, bias) })
	n.K += int64(count)
}

// columnBlock is how many columns merge takes at a time: their sums stay in the
// first-level cache.
const columnBlock = 256

// merge is Update of columns [lo, hi), without the count. The scatter of rows is
// multiplied by bias.
func (n *Normaliser) merge(rows []float32, lo, hi int, bias float64) {
	d := len(n.Mean)
	count := float64(len(rows) / d)
	total := float64(n.K) + count
	var means, squares [columnBlock]float64
	for ; lo < hi; lo += columnBlock {
		width := min(columnBlock, hi-lo)
		m, s := means[:width], squares[:width]
		clear(m)
		clear(s)
		for i := lo; i < len(rows); i += d {
			for j, x := range rows[i : i+width] {
				m[j] += float64(x)
			}
		}
		for j := range m {
			m[j] /= count
		}
		for i := lo; i < len(rows); i += d {
			for j, v := range rows[i : i+width] {
				x := float64(v) - m[j]
				s[j] += x * x
			}
		}
		for j := range m {
			gap := m[j] - n.Mean[lo+j]
			n.S[lo+j] += bias*s[j] + gap*gap*(float64(n.K)*count/total)
			n.Mean[lo+j] += gap * (count / total)
		}
	}
}

// updateRows is the reference's own update (Welford's), in float32.
func (n *Normaliser) updateRows(rows []float32) {
	d := len(n.Mean)
	for i := 0; i < len(rows); i += d {
		n.K++
		for j := range d {
			x, mean := rows[i+j], float32(n.Mean[j])
			if n.K == 1 {
				n.Mean[j], n.S[j] = float64(x), 0
				continue
			}
			next := mean + (x-mean)/float32(n.K)
			n.S[j] = float64(float32(n.S[j]) + (x-mean)*(x-next))
			n.Mean[j] = float64(next)
		}
	}
}

// ErrOneRow says that one row alone has no variance.
var ErrOneRow = errors.New("the normaliser has seen only one row, which has no variance")

// Apply writes (x − mean)/(deviation + 1e-7) of rows [n, D] into dst. It
// returns ErrOneRow while fewer than two rows were seen.
func (n *Normaliser) Apply(dst, rows []float32) error { return n.apply(dst, rows, oneThread) }

func (n *Normaliser) apply(dst, rows []float32, s spread) error {
	if n.Off {
		copy(dst, rows)
		return nil
	}
	if n.K < 2 && !(n.Pooled && n.K == 1) {
		return ErrOneRow
	}
	count, eps := float64(n.K-1), float32(normEps)
	if n.Pooled {
		count, eps = count+pooledEps, pooledEps
	}
	d := len(n.Mean)
	mean, inv := make([]float32, d), make([]float32, d)
	for j := range d {
		mean[j], inv[j] = float32(n.Mean[j]), float32(math.Sqrt(n.S[j]/count))
	}
	n.raise(inv[:n.Split])
	n.raise(inv[n.Split:])
	for j := range inv {
		inv[j] += eps
	}
	s(d, func(lo, hi int) {
		mean, inv := mean[lo:hi], inv[lo:hi]
		for i := lo; i < len(rows); i += d {
			to, from := dst[i:i+len(mean)], rows[i:i+len(mean)]
			for j, m := range mean {
				to[j] = (from[j] - m) / inv[j]
			}
		}
	})
	return nil
}

// raise lifts deviations below the floor.
func (n *Normaliser) raise(std []float32) {
	if n.Floor == 0 || len(std) == 0 {
		return
	}
	low := middle(slices.Clone(std)) * float32(n.Floor)
	for j := range std {
		std[j] = max(std[j], low)
	}
}

// middle is the element that would stand at len(x)/2 if x, which it reorders,
// were sorted by cmp.Compare (Hoare's quickselect).
func middle(x []float32) float32 {
	k := len(x) / 2
	for len(x) > 1 {
		pivot := x[len(x)/2]
		i, j := 0, len(x)-1
		for i <= j {
			for cmp.Less(x[i], pivot) {
				i++
			}
			for cmp.Less(pivot, x[j]) {
				j--
			}
			if i <= j {
				x[i], x[j] = x[j], x[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case k <= j:
			x = x[:j+1]
		case k >= i:
			x, k = x[i:], k-i
		default:
			return x[k]
		}
	}
	return x[0]
}
