package meta

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm/tokenizer"
)

func TestWholeRefusesWhatAnswerCuts(t *testing.T) {
	tok, err := tokenizer.Train([]string{"a b c d e f"}, 270, nil)
	if err != nil {
		t.Fatal(err)
	}
	const long = "a b c d e f a b c d e f"
	for _, c := range []struct {
		prompt, answer string
		maxLen         int
	}{{"a b", "c d", 0}, {long, "c d", 5}, {"a b", long, 0}} {
		o := TextOptions{MaxLen: c.maxLen}
		want, err := Answer(tok, c.prompt, c.answer, o)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Whole(tok, c.prompt, c.answer, o); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q %q at %d: got %v (%v), want %v", c.prompt, c.answer, c.maxLen, got, err, want)
		}
	}
	cut, err := Answer(tok, "a b", long, TextOptions{MaxLen: 5})
	if n := wanted([]Text{cut}); err != nil || n != 5 {
		t.Errorf("Answer keeps %d tokens (%v), want 5", n, err)
	}
	if _, err := Whole(tok, "a b", long, TextOptions{MaxLen: 5}); err == nil || !strings.Contains(err.Error(), "cut at 5 (data.max_len)") {
		t.Errorf("a target that would be cut: %v", err)
	}
}

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
