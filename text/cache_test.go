package text

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBounded compares with a list, over random values: no key gives another's
// value, and the bound is kept.
func TestBounded(t *testing.T) {
	for _, evict := range []bool{false, true} {
		t.Run(fmt.Sprint("evict ", evict), func(t *testing.T) {
			type item struct {
				key   string
				value int
				bytes int64
			}
			const limit = 100
			rng := rand.New(rand.NewPCG(1, 2))
			c := &Bounded[int]{Limit: limit, Evict: evict}
			var kept []item // oldest first
			total := func() (n int64) {
				for _, x := range kept {
					n += x.bytes
				}
				return n
			}
			for round := range 5000 {
				x := item{fmt.Sprint(rng.IntN(30)), round, int64(rng.IntN(130))}
				before := slices.Clone(kept)
				if i := slices.IndexFunc(kept, func(y item) bool { return y.key == x.key }); i >= 0 {
					kept[i] = x
				} else {
					kept = append(kept, x)
				}
				if !evict && total() > limit {
					kept = before
				}
				for total() > limit {
					kept = kept[1:]
				}
				c.Put(x.key, x.value, x.bytes)
				if c.Used() != total() || c.Used() > limit {
					t.Fatalf("round %d: %d bytes used, want %d of %d", round, c.Used(), total(), limit)
				}
				for k := range 30 {
					key := fmt.Sprint(k)
					i := slices.IndexFunc(kept, func(y item) bool { return y.key == key })
					v, ok := c.Get(key)
					if ok != (i >= 0) || ok && v != kept[i].value {
						t.Fatalf("round %d, key %s: %v, %v; want place %d", round, key, v, ok, i)
					}
				}
			}
		})
	}
}
