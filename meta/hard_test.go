package meta

import (
	"slices"
	"testing"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/text"
)

// TestTheHardestAreThoseThatChangeMost: of each edit's locality texts those stay whose
// KL is the largest when each is scored alone, in their order.
func TestTheHardestAreThoseThatChangeMost(t *testing.T) {
	o := tiny(t, "gpt2", 2, solving)
	warm(t, o)
	list := someTasks(9)
	task := merged(list[:2])
	task.OuterOf = []int{0, 1}
	task.Loc, task.LocOf = nil, nil
	for i, x := range list[2:8] {
		task.Loc, task.LocOf = append(task.Loc, x.Loc...), append(task.LocOf, i%2)
	}
	away := make([]float64, len(task.Loc))
	for i := range task.Loc {
		one := task
		one.Loc, one.LocOf = task.Loc[i:i+1], task.LocOf[i:i+1]
		out, err := o.Score([]Task{one})
		if err != nil {
			t.Fatal(err)
		}
		away[i] = out[0].Loc
	}
	got, err := o.Hardest([]Task{list[8], task}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(got[0].Loc) != 1 || len(got[1].Loc) != 4 {
		t.Fatalf("%d and %d texts are kept, want 1 and 4", len(got[0].Loc), len(got[1].Loc))
	}
	var want []text.Text
	var of []int
	for i, x := range task.Loc {
		harder := 0
		for j := range task.Loc {
			if task.LocOf[j] == task.LocOf[i] && away[j] > away[i] {
				harder++
			}
		}
		if harder < 2 {
			want, of = append(want, x), append(of, task.LocOf[i])
		}
	}
	same := slices.EqualFunc(want, got[1].Loc, func(a, b text.Text) bool { return slices.Equal(a.IDs, b.IDs) })
	if !same || !slices.Equal(of, got[1].LocOf) {
		t.Errorf("kept are texts of %v, want of %v: %v", got[1].LocOf, of, away)
	}
	task.LocOf = nil
	if _, err := o.Hardest([]Task{task}, 2); err == nil {
		t.Error("texts of no edit: no error")
	}
}

// TestAMarginIsLostByWhatItLacks: a margin of nothing lost is no loss, one more nat of
// it is one more of loss.
func TestAMarginIsLostByWhatItLacks(t *testing.T) {
	o := tiny(t, "gpt2", 1, func(h *hypernet.Config, c *Config) { solving(h, c); c.Margin, c.CMargin = 100, 0.5 })
	warm(t, o)
	tasks := someTasks(1)
	score := func(margin float64) Outcome {
		t.Helper()
		o.cfg.Margin = margin
		out, err := o.Score(tasks)
		if err != nil {
			t.Fatal(err)
		}
		return out[0]
	}
	far, farther := score(100), score(101)
	if d := farther.Margin - far.Margin; d < 0.999 || d > 1.001 {
		t.Errorf("one more of margin is %g more of loss", d)
	}
	if d := farther.Total - far.Total; d < 0.499 || d > 0.501 {
		t.Errorf("one more of margin, weighed by a half, is %g more of the whole", d)
	}
	kept := 0 // texts whose answer is ahead
	for _, x := range someTasks(9) {
		tasks = []Task{x}
		ahead := 100 - score(100).Margin
		if ahead < 1e-3 {
			continue
		}
		kept++
		if got := score(ahead / 2).Margin; got != 0 {
			t.Errorf("the answer is ahead by %g, and loses %g of half that margin", ahead, got)
		}
	}
	if kept == 0 {
		t.Error("no answer is ahead")
	}
}
