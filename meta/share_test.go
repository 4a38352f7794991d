package meta

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/mpi/mpitest"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// trace is all that some steps and a score leave behind: gradients, what the
// network remembers, scores.
func trace(o *Objective) (string, error) {
	var out bytes.Buffer
	grads := make([]float32, len(o.Net.Flat))
	tasks := someTasks(8)
	if o.Net.Config.Update.Negatives > 0 {
		besideOthers(tasks)
	}
	for _, step := range [][]Task{tasks, tasks[:1], tasks[3:5], {merged(tasks[:3]), tasks[4]}, {merged(tasks)}, {inParts(tasks)}} {
		scores, err := o.Step(step, grads, false)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%x %v\n", raw(grads), scores)
	}
	scores, err := o.Score(tasks[2:])
	if err != nil {
		return "", err
	}
	fmt.Fprintln(&out, scores)
	kept, err := o.Hardest([]Task{merged(tasks[:4]), merged(tasks[4:])}, 1)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(&out, kept)
	err = o.Net.Remembered(func(k hypernet.Kept) error {
		for _, t := range k.Tensors {
			fmt.Fprintf(&out, "%d %x %x\n", *k.Rows, raw(t.F32), raw(t.F64))
		}
		return nil
	})
	return out.String(), err
}

// merged is one task of several tasks' edits.
func merged(tasks []Task) Task {
	m := Task{ID: "merged"}
	for _, t := range tasks {
		for range t.Outer {
			m.OuterOf = append(m.OuterOf, len(m.Inner))
		}
		for range t.Loc {
			m.LocOf = append(m.LocOf, len(m.Inner))
		}
		m.Inner, m.Outer, m.Loc, m.Stay = append(m.Inner, t.Inner...), append(m.Outer, t.Outer...), append(m.Loc, t.Loc...), append(m.Stay, t.Stay...)
	}
	return m
}

// inParts is one task of several tasks' edits, three of them in a part.
func inParts(tasks []Task) Task {
	m := merged(tasks)
	Cut{Size: 3}.Parts(&m)
	return m
}

// TestProcessesChangeNoByte: with more processes than tasks, too.
func TestProcessesChangeNoByte(t *testing.T) {
	sparing := func(h *hypernet.Config, c *Config) { twoSteps(h, c); h.Update.Negatives = 2 }
	malmen := func(h *hypernet.Config, c *Config) {
		solving(h, c)
		h.Kind, h.Update.Prior, h.Update.Values, h.Update.LearnRidge = "malmen", hypernet.Identity, hypernet.Product, true
	}
	ultra := func(h *hypernet.Config, c *Config) {
		solving(h, c)
		h.Kind, h.Update.Prior, h.Update.Values = "normalised", hypernet.Identity, hypernet.Square
	}
	scale := func(h *hypernet.Config, c *Config) { c.DeltaScale = "batch_mean" }
	for name, change := range map[string]func(*hypernet.Config, *Config){
		"sum": nil, "solve": solving, "two steps beside negatives": sparing, "batch mean": scale, "malmen": malmen, "ultra": ultra,
		"late":  func(_ *hypernet.Config, _ *Config) {},
		"rates": func(h *hypernet.Config, _ *Config) { h.Kind = "rates" }, "naive": func(h *hypernet.Config, _ *Config) { h.Kind = "naive" },
	} {
		t.Run(name, func(t *testing.T) {
			want, err := trace(tiny(t, "llama", 1, change))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{2, 3, 5} {
				members := make([]*Objective, n)
				for i := range members {
					members[i] = tiny(t, "llama", 1, change)
				}
				got := make([]string, n)
				errs := mpitest.Together(n, func(m *mpitest.Member) (err error) {
					o := members[m.Rank()]
					o.Share.Peers = m
					got[m.Rank()], err = trace(o)
					return err
				})
				for r := range n {
					if errs[r] != nil {
						t.Fatalf("process %d of %d: %v", r, n, errs[r])
					}
					if got[r] != want {
						t.Errorf("process %d of %d has other gradients, scores or memory than one alone", r, n)
					}
				}
			}
		})
	}
}

// TestDivideTexts: neighbouring texts go to one process, and a cut that comes near
// the end of a task moves there.
func TestDivideTexts(t *testing.T) {
	task := func(inner, outer, loc int) Task {
		texts := func(n int) []text.Text {
			return slices.Repeat([]text.Text{{IDs: make([]int32, 4)}}, n)
		}
		return Task{Inner: texts(inner), Outer: texts(outer), Loc: texts(loc)}
	}
	small := func(n int) []Task { return slices.Repeat([]Task{task(1, 1, 1)}, n) }
	for _, c := range []struct {
		tasks       []Task
		processes   int
		whole       bool
		want, spans string
	}{
		{small(4), 2, false, "[[[0] [0] [0]] [[0] [0] [0]] [[1] [1] [1]] [[1] [1] [1]]]", "[{0 1} {0 1} {1 2} {1 2}]"},
		{small(3), 2, true, "[[[0] [0] [0]] [[1] [1] [1]] [[1] [1] [1]]]", "[{0 1} {1 2} {1 2}]"},
		{small(3), 2, false, "[[[0] [0] [0]] [[1] [0] [1]] [[1] [1] [1]]]", "[{0 1} {0 2} {1 2}]"},
		{[]Task{task(4, 3, 5)}, 2, false, "[[[0 0 1 1] [0 0 0] [0 1 1 1 1]]]", "[{0 2}]"},
		{[]Task{task(4, 3, 5)}, 4, false, "[[[0 1 2 3] [0 0 1] [1 2 2 3 3]]]", "[{0 4}]"},
		{[]Task{task(2, 2, 2)}, 2, true, "[[[1 1] [1 1] [1 1]]]", "[{1 2}]"},
		{[]Task{task(1, 0, 1)}, 3, false, "[[[1] [] [1]]]", "[{1 2}]"},
	} {
		got := divideTexts(c.tasks, c.processes, 1, c.whole)
		var spans []nn.Range
		for i := range got {
			spans = append(spans, got[i].span())
		}
		if fmt.Sprint(got) != c.want || fmt.Sprint(spans) != c.spans {
			t.Errorf("%d processes: %v %v, want %s %s", c.processes, got, spans, c.want, c.spans)
		}
	}
	for n := 1; n <= 7; n++ { // no process of tasks like these has more than a text too much
		have := make([]int, n)
		for _, o := range divideTexts([]Task{task(9, 20, 30), task(1, 3, 4), task(5, 5, 5)}, n, 2, false) {
			for k, list := range o {
				for _, r := range list {
					have[r] += 4
					if k == 0 {
						have[r] += 4
					}
				}
			}
		}
		total := 4 * (2*15 + 28 + 39)
		for r, got := range have {
			if most := total/n + total/n/snap + 4*4; got > most {
				t.Errorf("process %d of %d has %d of %d tokens", r, n, got, total)
			}
		}
	}
}
