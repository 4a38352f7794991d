package hypernet

import (
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
	Split int     // u is [0, Split), δ the rest: each has its own median
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

const normEps = 1e-7

// NewNormaliser returns a normaliser that has seen nothing of rows of width d.
func NewNormaliser(d, split int) *Normaliser {
	return &Normaliser{State: State{Mean: make([]float64, d), S: make([]float64, d)}, Split: split}
}

// Update merges rows [n, D] into the statistics (Chan's parallel form of the
// reference's row-by-row update; equal up to rounding).
func (n *Normaliser) Update(rows []float32) {
	d := len(n.Mean)
	count := len(rows) / d
	if count == 0 {
		return
	}
	if n.Exact {
		n.updateRows(rows)
		return
	}
	total := float64(n.K) + float64(count)
	for j := range d {
		sum := 0.0
		for i := range count {
			sum += float64(rows[i*d+j])
		}
		m := sum / float64(count)
		s := 0.0
		for i := range count {
			x := float64(rows[i*d+j]) - m
			s += x * x
		}
		gap := m - n.Mean[j]
		n.S[j] += s + gap*gap*(float64(n.K)*float64(count)/total)
		n.Mean[j] += gap * (float64(count) / total)
	}
	n.K += int64(count)
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
func (n *Normaliser) Apply(dst, rows []float32) error {
	if n.Off {
		copy(dst, rows)
		return nil
	}
	if n.K < 2 {
		return ErrOneRow
	}
	d := len(n.Mean)
	mean, inv := make([]float32, d), make([]float32, d)
	for j := range d {
		mean[j], inv[j] = float32(n.Mean[j]), float32(math.Sqrt(n.S[j]/float64(n.K-1)))
	}
	n.raise(inv[:n.Split])
	n.raise(inv[n.Split:])
	for j := range inv {
		inv[j] += normEps
	}
	for i := 0; i < len(rows); i += d {
		for j := range d {
			dst[i+j] = (rows[i+j] - mean[j]) / inv[j]
		}
	}
	return nil
}

// raise lifts deviations below the floor.
func (n *Normaliser) raise(std []float32) {
	if n.Floor == 0 || len(std) == 0 {
		return
	}
	sorted := slices.Clone(std)
	slices.Sort(sorted)
	low := sorted[len(sorted)/2] * float32(n.Floor)
	for j := range std {
		std[j] = max(std[j], low)
	}
}
