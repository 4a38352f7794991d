package eval

import (
	"reflect"
	"testing"

	"keyhole.example/keyhole/edit"
)

func TestSharedBeginningsGiveTheBytesOfEachTextAlone(t *testing.T) {
	for _, kind := range []string{"gpt2", "llama"} {
		m, k := tinyModel(t, kind), testEngine(t)
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
			s := NewScorer(m, k, 0)
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
					base, edited := plainOutcome(t, m, k, p, nil), plainOutcome(t, m, k, p, deltas)
					if !reflect.DeepEqual(p.Base, base) || !reflect.DeepEqual(p.Edited, edited) {
						t.Fatalf("%s, passes of %d rows, %q %q: got %+v, %+v; want %+v, %+v", kind, rows, p.Prompt, p.Answer, p.Base, p.Edited, base, edited)
					}
				}
			}
		}
	}
}
