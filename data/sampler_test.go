package data

import (
	"fmt"
	"slices"
	"testing"
)

func TestEpochsArePermutations(t *testing.T) {
	for _, n := range []int{1, 2, 3, 100} {
		s := NewSampler(n, 7)
		var epochs [3][]int
		for e := range epochs {
			for range n {
				epochs[e] = append(epochs[e], s.Next())
			}
			sorted := slices.Sorted(slices.Values(epochs[e]))
			for i, v := range sorted {
				if i != v {
					t.Fatalf("n=%d, epoch %d misses %d: %v", n, e, i, epochs[e])
				}
			}
			if !slices.Equal(epochs[e], Permutation(7, e, n)) {
				t.Errorf("n=%d, epoch %d is not its permutation", n, e)
			}
		}
		if n == 100 && (slices.Equal(epochs[0], epochs[1]) || slices.Equal(Permutation(7, 0, n), Permutation(8, 0, n))) {
			t.Error("epochs or seeds give the same order")
		}
	}
}

// All 24 orders of four records should come up about equally often.
func TestPermutationsAreUniform(t *testing.T) {
	const epochs = 24000
	seen := make(map[string]int)
	for e := range epochs {
		seen[fmt.Sprint(Permutation(1, e, 4))]++
	}
	if len(seen) != 24 {
		t.Errorf("%d orders, want 24", len(seen))
	}
	for order, n := range seen {
		if n < 850 || n > 1150 { // 1000 ± 4.8 standard deviations
			t.Errorf("order %s came %d times, want about 1000", order, n)
		}
	}
}

func TestRestoreGoesOnWhereStateWas(t *testing.T) {
	for stop := range 25 {
		a := NewSampler(10, 3)
		for range stop {
			a.Next()
		}
		b := NewSampler(10, 3)
		if err := b.Restore(a.State()); err != nil {
			t.Fatal(err)
		}
		for i := range 25 {
			if x, y := a.Next(), b.Next(); x != y {
				t.Fatalf("stopped at %d, then %d: %d, want %d", stop, i, y, x)
			}
		}
	}
}

func TestRestoreRefusesOtherData(t *testing.T) {
	s := NewSampler(10, 3)
	for _, c := range []Cursor{{Seed: 3, N: 11}, {Seed: 4, N: 10}, {Seed: 3, N: 10, Pos: 11}, {Seed: 3, N: 10, Epoch: -1}} {
		if err := s.Restore(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	if s.State() != (Cursor{Seed: 3, N: 10}) {
		t.Errorf("a refused cursor moved the sampler to %+v", s.State())
	}
}

// The numbers pin the functions: a change would break saved runs.
func TestOrderAndChoicesArePinned(t *testing.T) {
	got := fmt.Sprint(Permutation(42, 1, 8), Choose(42, "paraphrase/7", 0, 100), Choose(42, "paraphrase/7", 1, 100), Choose(43, "paraphrase/7", 0, 100), Choose(42, "paraphrase/8", 0, 100))
	if want := "[0 1 6 5 3 7 4 2] 36 53 98 18"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChoicesAreUniform(t *testing.T) {
	var counts [10]int
	for i := range 10000 {
		counts[Choose(9, fmt.Sprint(i%100), i/100, len(counts))]++
	}
	for i, n := range counts {
		if n < 850 || n > 1150 { // 1000 ± 5 standard deviations
			t.Errorf("%d came %d times, want about 1000", i, n)
		}
	}
}
