package edit_test

import (
	"slices"
	"testing"

	"keyhole.example/keyhole/edit"
)

func TestConflicts(t *testing.T) {
	got := edit.Conflicts([]edit.Request{
		{ID: "a", Prompt: "x is in", Target: "Rome"},
		{ID: "b", Prompt: "y is in", Target: "Oslo"},
		{ID: "c", Prompt: "x is in ", Target: " Rome "}, // the same again
		{ID: "d", Prompt: "x is in", Target: "Paris"},
		{ID: "e", Prompt: "y is in", Target: "Lima"},
	})
	want := []edit.Conflict{
		{Prompt: "x is in", IDs: [2]string{"a", "d"}, Targets: [2]string{"Rome", "Paris"}},
		{Prompt: "y is in", IDs: [2]string{"b", "e"}, Targets: [2]string{"Oslo", "Lima"}},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if text := want[0].String(); text != `a and d want different answers to "x is in": "Rome" and "Paris"` {
		t.Error(text)
	}
}
