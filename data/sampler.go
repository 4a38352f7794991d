package data

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// Sampler goes through the indices 0 … n−1 again and again, each epoch in
// another order. The order of an epoch is a function of seed, epoch and n alone,
// so a Cursor is all there is to save.
type Sampler struct {
	cursor Cursor
	order  []int // of epoch built
	built  int
}

// Cursor is the place of a Sampler: Pos indices of Epoch have been given out.
type Cursor struct {
	Epoch int    `json:"epoch"`
	Pos   int    `json:"pos"`
	Seed  uint64 `json:"seed"`
	N     int    `json:"n"`
}

// NewSampler returns a Sampler at the start of epoch 0. n must be positive, which
// the length of a loaded Set always is.
func NewSampler(n int, seed uint64) *Sampler {
	if n < 1 {
		panic(fmt.Sprintf("data: a sampler needs at least one record, not %d", n))
	}
	return &Sampler{cursor: Cursor{Seed: seed, N: n}, built: -1}
}

// Next returns the next index.
func (s *Sampler) Next() int {
	if s.cursor.Pos == s.cursor.N {
		s.cursor.Epoch++
		s.cursor.Pos = 0
	}
	if s.built != s.cursor.Epoch {
		s.order = Permutation(s.cursor.Seed, s.cursor.Epoch, s.cursor.N)
		s.built = s.cursor.Epoch
	}
	i := s.order[s.cursor.Pos]
	s.cursor.Pos++
	return i
}

// State returns the place from which Restore goes on.
func (s *Sampler) State() Cursor { return s.cursor }

// Restore moves to a saved place. A cursor of other data or of another seed is
// an error, and the sampler stays where it is.
func (s *Sampler) Restore(c Cursor) error {
	switch {
	case c.N != s.cursor.N:
		return fmt.Errorf("restore data cursor: it was saved for %d records, but the data has %d; use the same data", c.N, s.cursor.N)
	case c.Seed != s.cursor.Seed:
		return fmt.Errorf("restore data cursor: it was saved with seed %d, not %d; use the same seed", c.Seed, s.cursor.Seed)
	case c.Epoch < 0 || c.Pos < 0 || c.Pos > c.N:
		return fmt.Errorf("restore data cursor: no place %d in epoch %d of %d records", c.Pos, c.Epoch, c.N)
	}
	s.cursor = c
	return nil
}

// Permutation returns the indices 0 … n−1 in the order of an epoch: sorted by a
// hash of seed, epoch and index.
func Permutation(seed uint64, epoch, n int) []int {
	type ranked struct {
		rank  uint64
		index int
	}
	all := make([]ranked, n)
	base := mix(mix(seed) + uint64(epoch))
	for i := range all {
		all[i] = ranked{mix(base + uint64(i)), i}
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.index, b.index))
	})
	order := make([]int, n)
	for i, r := range all {
		order[i] = r.index
	}
	return order
}

// Choose returns one of 0 … n−1 as a function of its arguments alone: which
// paraphrase or locality prompt a record uses at a visit. Put the purpose into
// the key ("paraphrase/" + id), so that choices for one record do not follow one
// another. n must be positive.
func Choose(seed uint64, key string, visit, n int) int {
	if n < 1 {
		panic(fmt.Sprintf("data: nothing to choose from: n is %d", n))
	}
	hi, _ := bits.Mul64(mix(hashKey(seed, key)+uint64(visit)), uint64(n))
	return int(hi)
}

// hashKey is FNV-1a over the bytes of key, started from seed and mixed.
func hashKey(seed uint64, key string) uint64 {
	h := mix(seed) ^ 14695981039346656037
	for i := 0; i < len(key); i++ {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return mix(h)
}

// mix is the output function of SplitMix64 (Steele et al. 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
