package eval

import (
	"reflect"
	"slices"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// asking is a text that asks for its last n tokens' successors.
func asking(n int, ids ...int32) text.Text {
	t := text.Text{IDs: ids, Labels: make([]int32, len(ids))}
	for i := range t.Labels {
		if t.Labels[i] = -1; i >= len(ids)-n {
			t.Labels[i] = 9
		}
	}
	return t
}

func TestCommonBeginningsLieOnce(t *testing.T) {
	l := newLayout(2)
	for _, x := range []struct {
		text         text.Text
		task, shared int
	}{
		{asking(1, 1, 2, 3), 0, 0},
		{asking(1, 1, 2, 4), 0, 2},
		{asking(1, 1, 2, 3, 5), 0, 3}, // goes on behind a row that is asked
		{asking(2, 1, 2, 3), 0, 1},    // rows that are asked are its own
		{asking(1, 1, 2, 3), 1, 0},    // nothing is shared between tasks
		{asking(1, 1, 2, 3), 1, 2},
		{asking(1, 2), 1, 0},
	} {
		if got := l.shared(x.text, x.task); got != x.shared {
			t.Errorf("%v of task %d: shares %d tokens, want %d", x.text.IDs, x.task, got, x.shared)
		}
		if got := l.add(x.text, x.task); got != x.shared {
			t.Errorf("%v of task %d: %d tokens lay there, want %d", x.text.IDs, x.task, got, x.shared)
		}
		var ids []int32
		s := l.seq.Segs[len(l.seq.Segs)-1]
		for i, row := range l.seq.Keys[s.K : s.K+s.KLen] {
			ids = append(ids, l.ids.V[row])
			if l.seq.Pos[row] != int32(i) {
				t.Errorf("%v: row %d stands at %d, want %d", x.text.IDs, row, l.seq.Pos[row], i)
			}
		}
		if !slices.Equal(ids, x.text.IDs) {
			t.Errorf("keys of %v are of %v", x.text.IDs, ids)
		}
	}
	if want := []int32{1, 2, 3, 4, 5, 2, 3, 1, 2, 3, 3, 2}; !slices.Equal(l.ids.V, want) {
		t.Errorf("rows %v, want %v", l.ids.V, want)
	}
	if want := []int32{2, 3, 4, 5, 6, 9, 10, 11}; !slices.Equal(l.want.V, want) {
		t.Errorf("asked rows %v, want %v", l.want.V, want)
	}
	if want := []nn.Range{{Lo: 0, Hi: 7}, {Lo: 7, Hi: 12}}; !reflect.DeepEqual(l.seq.Tasks, want) {
		t.Errorf("tasks %v, want %v", l.seq.Tasks, want)
	}
	if want := []nn.Range{{Lo: 0, Hi: 5}, {Lo: 5, Hi: 8}}; !reflect.DeepEqual(l.want.Tasks, want) {
		t.Errorf("asked rows of tasks %v, want %v", l.want.Tasks, want)
	}
}

func TestSharedBeginningsGiveTheBytesOfEachTextAlone(t *testing.T) {
	for _, kind := range []string{"gpt2", "llama"} {
		m, e := tinyModel(t, kind), testEngine(t)
		var jobs []Job
		var all []*Probe
		for _, id := range []string{"a", "b", "c"} {
			ed, err := random{}.Apply(t.Context(), m, []edit.Request{{ID: id}})
			if err != nil {
				t.Fatal(err)
			}
			j := Job{Edited: ed}
			for _, q := range [][2]string{
				{"the capital of the land is", "rome"}, {"the capital of the land is", "the city"}, {"the capital of the land", "is rome"},
				{"the capital of the land is rome and", "the king"}, {"the", "capital of " + id}, {"who is " + id, "the king"},
			} {
				p, err := newProbe(m, q[0], q[1], "")
				if err != nil {
					t.Fatal(err)
				}
				j.Probes = append(j.Probes, p)
			}
			jobs, all = append(jobs, j), append(all, j.Probes...)
		}
		first := jobs[0].Edited.FirstBlock(m)
		for _, rows := range []int{1, 20, 2048} {
			s := NewScorer(m, e, 0)
			s.MaxRows = rows
			for _, p := range all {
				p.base = nil
			}
			if err := s.Base(all, first); err != nil {
				t.Fatal(err)
			}
			if err := s.Edited(jobs, first); err != nil {
				t.Fatal(err)
			}
			for _, j := range jobs {
				deltas, _ := j.Edited.Deltas()
				for _, p := range j.Probes {
					base, edited := plainOutcome(t, m, e, p, nil), plainOutcome(t, m, e, p, deltas)
					if !reflect.DeepEqual(p.Base, base) || !reflect.DeepEqual(p.Edited, edited) {
						t.Fatalf("%s, passes of %d rows, %q %q: got %+v, %+v; want %+v, %+v", kind, rows, p.Prompt, p.Answer, p.Base, p.Edited, base, edited)
					}
				}
			}
		}
	}
}
