package ft_test

import (
	"slices"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/edit/ft"
)

// TestAReplayedSequenceEndsWhereOneTrainingDoes: edits one after the other, with the
// memory from a file between them, leave the values of one edit of both; an edit of
// the same prompt takes the earlier one's place.
func TestAReplayedSequenceEndsWhereOneTrainingDoes(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	c := ft.Default("ft")
	c.Steps, c.BatchSize, c.Replay = 4, 1, true
	k := engine(t)
	e, err := ft.New(c, k)
	if err != nil {
		t.Fatal(err)
	}
	requests := edittest.Requests()
	want := apply(t, m, c, requests)
	other := requests[0]
	other.Target = requests[1].Target
	var last *edit.Edited
	for i, r := range []edit.Request{other, requests[0], requests[1]} {
		next, err := edit.Continue(t.Context(), e, m, last, []edit.Request{r})
		if err != nil {
			t.Fatal(err)
		}
		if len(next.Requests) != 1 || next.Requests[0].Prompt != r.Prompt {
			t.Errorf("edit %d is of %v", i, next.Requests)
		}
		undo, err := next.Install(m, k)
		if err != nil {
			t.Fatal(err)
		}
		defer undo()
		p, err := next.Memory.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if next.Memory, err = e.Open(t.Context(), m, p); err != nil {
			t.Fatal(err)
		}
		last = next
	}
	for i, x := range want.Changes {
		if !slices.Equal(x.Values, last.Changes[i].Values) {
			t.Errorf("%s differs from one training on both edits", x.Weight)
		}
		if now := values(t, m, x.Weight); !slices.Equal(now, x.Values) {
			t.Errorf("%s in the model is not the edit's", x.Weight)
		}
	}
	if _, err := edit.Continue(t.Context(), e, m, &edit.Edited{Editor: "another"}, requests); err == nil {
		t.Error("a sequence that does not say what was edited goes on")
	}
	if _, err := e.Open(t.Context(), m, edit.Packed{Kind: "keys"}); err == nil {
		t.Error("another editor's memory opens")
	}
}
