package meta

import (
	"math"
	"slices"
	"testing"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/text"
)

// TestPartsAreCutByEdits: every text of a part comes with an edit of it; sorted, each
// kind stands longest first, and with the edit that it came with.
func TestPartsAreCutByEdits(t *testing.T) {
	of := func(n int) text.Text { return text.Text{IDs: make([]int32, n)} }
	task := func() Task {
		return Task{
			Inner: []text.Text{of(3), of(5), of(4)},
			Outer: []text.Text{of(30), of(31), of(50), of(40)}, OuterOf: []int{0, 0, 1, 2},
			Loc: []text.Text{of(7), of(9)}, LocOf: []int{0, 2},
		}
	}
	plain := task()
	Cut{Size: 2}.Parts(&plain)
	if want := []Part{{2, 3, 1, 1}, {1, 1, 1, 1}}; !slices.Equal(plain.Parts, want) {
		t.Errorf("parts %v, want %v", plain.Parts, want)
	}
	whole := task()
	if (Cut{}).Parts(&whole); whole.Parts != nil {
		t.Errorf("parts %v of an uncut task", whole.Parts)
	}
	sorted := task()
	Cut{Size: 2, Sorted: true}.Parts(&sorted)
	lengths := func(x []text.Text) (n []int) {
		for _, t := range x {
			n = append(n, len(t.IDs))
		}
		return n
	}
	if !slices.Equal(lengths(sorted.Inner), []int{5, 4, 3}) || !slices.Equal(lengths(sorted.Outer), []int{50, 40, 31, 30}) || !slices.Equal(lengths(sorted.Loc), []int{9, 7}) {
		t.Errorf("sorted: %v %v %v", lengths(sorted.Inner), lengths(sorted.Outer), lengths(sorted.Loc))
	}
	if !slices.Equal(sorted.OuterOf, []int{0, 1, 2, 2}) || !slices.Equal(sorted.LocOf, []int{1, 2}) || !slices.Equal(sorted.Parts, plain.Parts) {
		t.Errorf("sorted: rephrasings of %v, locality texts of %v, parts %v", sorted.OuterOf, sorted.LocOf, sorted.Parts)
	}
}

// TestLookBackAddsEarlierLosses: a task that looks back loses what it does alone,
// and the earlier ones' losses behind its edits, the older the lighter.
func TestLookBackAddsEarlierLosses(t *testing.T) {
	o := tiny(t, "gpt2", 1, malmen)
	warm(t, o)
	tasks := someTasks(3)
	total := func(x Task) float64 {
		t.Helper()
		out, err := o.Score([]Task{x})
		if err != nil {
			t.Fatal(err)
		}
		return out[0].Total
	}
	want := 0.0
	for i, w := range []float64{1, 0.5, 0.25} { // each scored behind the edit of the first
		x := tasks[0]
		x.Outer, x.Loc, x.OuterOf, x.LocOf = tasks[i].Outer, tasks[i].Loc, nil, nil
		want += w * total(x)
	}
	if got := total(tasks[0].LookBack(tasks[1:], 0.5)); math.Abs(got-want) > 1e-5*want {
		t.Errorf("loss %g, the parts' add up to %g", got, want)
	}
}

// TestUnreadPartsAreEachTasksOwn: which parts are read as zero does not depend on the
// tasks beside.
func TestUnreadPartsAreEachTasksOwn(t *testing.T) {
	o := tiny(t, "gpt2", 2, func(h *hypernet.Config, c *Config) {
		malmen(h, c)
		c.Short, c.DeltaScale = true, "batch_mean"
	})
	warm(t, o)
	list := someTasks(5)
	tasks := []Task{merged(list[:3]), merged(list[3:])}
	for i := range tasks {
		Cut{Size: 2}.Parts(&tasks[i])
	}
	together, err := o.Score(tasks)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.Mode.Unread, []bool{false, true, false}) {
		t.Errorf("read as zero: %v", o.Mode.Unread)
	}
	for i := range tasks {
		alone, err := o.Score(tasks[i : i+1])
		if err != nil {
			t.Fatal(err)
		}
		if alone[0] != together[i] {
			t.Errorf("task %d scores %+v alone, %+v in a batch", i, alone[0], together[i])
		}
	}
	read := tasks[0]
	read.Parts = nil
	out, err := o.Score([]Task{read})
	if err != nil {
		t.Fatal(err)
	}
	if out[0].Edit == together[0].Edit {
		t.Error("the part that is read as zero has an effect all the same")
	}
}
