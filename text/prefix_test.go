package text

import (
	"math/rand/v2"
	"slices"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// TestTheCacheTellsTextsByWhatIsAskedOfThem: the same tokens, with final states
// wanted at other rows or at none, give what a prefix without a cache computes,
// in whatever order they come.
func TestTheCacheTellsTextsByWhatIsAskedOfThem(t *testing.T) {
	m, err := lm.New(lm.Config{
		ModelType: "gpt2", Layers: 3, Width: 16, Heads: 2, FFN: 24, Vocab: 40, Context: 32, Eps: 1e-5, Activation: kernel.GELUTanh, Tied: true,
	}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	ids := []int32{3, 1, 4, 1, 5}
	list := []struct {
		text  Text
		final bool
	}{
		{Text{IDs: ids, Labels: []int32{0, 0, 0, 0, 0}}, true},
		{Text{IDs: ids, Labels: []int32{-1, -1, 0, 0, 0}}, true},
		{Text{IDs: ids, Labels: []int32{-1, 0, -1, 0, 0}}, true}, // as many rows as the one before
		{Text{IDs: ids, Labels: []int32{0, 0, 0, 0, 0}}, false},
		{Text{IDs: ids[:4], Labels: []int32{0, 0, 0, 0}}, true},
	}
	run := func(p *Prefix, i int) (states, final []float32) {
		it := Item{Text: list[i].text, States: make([]float32, len(list[i].text.IDs)*m.Config.Width)}
		if list[i].final {
			it.Final = make([]float32, it.Text.Wanted()*m.Config.Width)
		}
		if err := p.Run([]Item{it}); err != nil {
			t.Fatal(err)
		}
		return it.States, it.Final
	}
	for start := range list {
		kept := NewPrefix(m, k, 1, 1<<20)
		for n := range 2 * len(list) { // each is asked for a second time
			i := (start + n) % len(list)
			states, final := run(kept, i)
			wantStates, wantFinal := run(NewPrefix(m, k, 1, 0), i)
			if !slices.Equal(states, wantStates) || !slices.Equal(final, wantFinal) {
				t.Errorf("begun with text %d: text %d is answered with another's states", start, i)
			}
		}
		if kept.Hits != len(list) || kept.Miss != len(list) {
			t.Errorf("%d found in the cache and %d computed, want %d each", kept.Hits, kept.Miss, len(list))
		}
	}
}
