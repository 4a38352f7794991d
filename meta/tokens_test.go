package meta

import (
	"maps"
	"slices"
	"testing"

	"keyhole.example/keyhole/data"
)

func TestWhatIsAskedIsDrawnFromTheRephrasings(t *testing.T) {
	r := data.Edit{ID: "1", Prompt: "own", Paraphrases: []string{"a", "b"}}
	drawn := func(m *Maker) []string {
		seen := map[string]bool{}
		for visit := range 100 {
			p := m.asked(&r, visit)
			if p != m.asked(&r, visit) {
				t.Fatalf("visit %d: another draw gives another prompt", visit)
			}
			seen[p] = true
		}
		return slices.Sorted(maps.Keys(seen))
	}
	for _, c := range []struct {
		m    Maker
		want []string
	}{
		{Maker{Rephrase: true}, []string{"a", "b"}},
		{Maker{Rephrase: true, OwnPrompt: true}, []string{"a", "b", "own"}},
		{Maker{OwnPrompt: true}, []string{"own"}},
	} {
		if got := drawn(&c.m); !slices.Equal(got, c.want) {
			t.Errorf("rephrase %v, own prompt %v: asked %q, want %q", c.m.Rephrase, c.m.OwnPrompt, got, c.want)
		}
	}
	r.Paraphrases = nil
	if got := drawn(&Maker{Rephrase: true, OwnPrompt: true}); !slices.Equal(got, []string{"own"}) {
		t.Errorf("without rephrasings: asked %q, want the edit prompt", got)
	}
}
