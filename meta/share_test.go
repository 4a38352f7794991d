package meta

import (
	"bytes"
	"fmt"
	"testing"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/mpi/mpitest"
	"keyhole.example/keyhole/nn/graph"
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
	for _, step := range [][]Task{tasks, tasks[:1], tasks[3:5], {merged(tasks[:3]), tasks[4]}} {
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
		m.Inner, m.Outer, m.Loc, m.Stay = append(m.Inner, t.Inner...), append(m.Outer, t.Outer...), append(m.Loc, t.Loc...), append(m.Stay, t.Stay...)
	}
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
		"rates": func(h *hypernet.Config, _ *Config) { h.Kind = "rates" }, "naive": func(h *hypernet.Config, _ *Config) { h.Kind = "naive" },
	} {
		t.Run(name, func(t *testing.T) {
			want, err := trace(tiny(t, "llama", 1, change))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{2, 5} {
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

func TestDivide(t *testing.T) {
	for _, c := range []struct {
		weights []int
		size    int
		want    string
	}{
		{[]int{1, 1, 1, 1}, 2, "[0 0 1 1]"},
		{[]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 4, "[0 0 1 1 1 2 2 3 3 3]"},
		{[]int{10, 1, 1, 1}, 2, "[0 1 1 1]"},
		{[]int{5}, 3, "[1]"},
		{[]int{0, 0}, 2, "[0 0]"},
	} {
		errs := mpitest.Together(c.size, func(m *mpitest.Member) error {
			s := graph.Share{Peers: m}
			if s.Divide(c.weights); fmt.Sprint(s.Owner) != c.want {
				return fmt.Errorf("%v over %d: %v, want %s", c.weights, c.size, s.Owner, c.want)
			}
			return nil
		})
		if errs[0] != nil {
			t.Error(errs[0])
		}
	}
}
