package nearest

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/nn"
)

// lift is an editor that answers the last token of each prompt by a fixed value,
// and nothing else where keys do not lie alike.
type lift struct{ rank int }

func (lift) Name() string { return "lift" }
func (l lift) Apply(_ context.Context, m *lm.Model, r []edit.Request) (*edit.Edited, error) {
	sites, err := m.FindSites([]string{"mlp.down@1"})
	if err != nil {
		return nil, err
	}
	s := sites[0]
	u, d := make([]float32, s.Linear.In), make([]float32, s.Linear.Out)
	for i := range u {
		u[i] = float32(math.Sin(float64(i + len(r[0].Prompt))))
	}
	for i := range d {
		d[i] = float32(i%3) - 1
	}
	out := &edit.Edited{Editor: "lift", Requests: r}
	for range l.rank {
		out.Changes = append(out.Changes, edit.Change{Weight: s.Name, Delta: &nn.Delta{U: kernel.Mat(u, 1, len(u)), D: kernel.Mat(d, 1, len(d)), Scale: 2}})
	}
	return out, nil
}

func editor(t *testing.T, cfg Settings) *Editor {
	t.Helper()
	ed, err := New(lift{1}, cfg, lmtest.Engine(t, 1), edittest.Facts())
	if err != nil {
		t.Fatal(err)
	}
	return ed
}

func requests() []edit.Request {
	r := edittest.Requests()
	again := r[0]
	again.ID, again.Prompt = "third", "Seldom "+again.Prompt
	out := append(r[:2:2], again)
	for i := range out {
		out[i].ID = string(rune('a' + i))
	}
	return out
}

func TestAKeyAnswersWithTheChangeOfTheWeight(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	ed := editor(t, Settings{Margin: 0.99, Negatives: 10})
	r := requests()[:1]
	e, err := ed.Apply(context.Background(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	s := e.Memory.(*Store)
	made, _ := lift{1}.Apply(context.Background(), m, r)
	x, err := ed.pool.Inputs(m, s.Layer, r[0].Prompt)
	if err != nil {
		t.Fatal(err)
	}
	y := kernel.Mat(make([]float32, x.Rows*len(s.Entries[0].Value)), x.Rows, len(s.Entries[0].Value))
	s.Adapt(s.Layer, edit.Route{}, x, y, 0, x.Rows)
	hit := 0
	for i := range x.Rows {
		row := x.Data[i*x.Cols : (i+1)*x.Cols]
		got, want := y.Data[i*y.Cols:(i+1)*y.Cols], change(made.Changes[0].Delta, row)
		switch {
		case s.Find(row) >= 0 && slices.Equal(got, want):
			hit++
		case s.Find(row) < 0 && kernel.Norm64(got) != 0:
			t.Errorf("row %d passes no threshold and gets %v", i, got)
		}
	}
	if hit == 0 {
		t.Error("no row of the prompt is answered as by the change")
	}
}

func TestForgettingGivesTheStoreThatNeverHadTheEdit(t *testing.T) {
	m := edittest.TinyModel(t, "llama")
	ed := editor(t, DefaultSettings())
	apply := func(list ...edit.Request) *Store {
		var last *edit.Edited
		var err error
		for _, r := range list {
			if last, err = ed.Continue(context.Background(), m, last, []edit.Request{r}); err != nil {
				t.Fatal(err)
			}
		}
		return last.Memory.(*Store)
	}
	r := requests()
	whole := apply(r...)
	for i := range r {
		less, err := whole.Forget(r[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		if want := apply(slices.Delete(slices.Clone(r), i, i+1)...); !reflect.DeepEqual(less, edit.Memory(want)) {
			t.Errorf("without edit %d the store is another", i)
		}
	}
	if _, err := whole.Forget("x"); err == nil {
		t.Error("an edit that is not there was forgotten")
	}
	p, err := whole.Pack()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ed.Open(context.Background(), m, p)
	if err != nil || !reflect.DeepEqual(again, edit.Memory(whole)) {
		t.Errorf("read differently (%v)", err)
	}
	if _, err := ed.Open(context.Background(), edittest.TinyModel(t, "gpt2"), p); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("another model: %v", err)
	}
	p.Tensors[0].Shape[0]--
	if _, err := ed.Open(context.Background(), m, p); err == nil {
		t.Error("a damaged store was opened")
	}
	second := r[0]
	second.Target = r[1].Target
	if n := len(apply(r[0], second).Entries); n != 1 {
		t.Errorf("%d edits of one prompt", n)
	}
}

func TestWhatCannotBeAStoreIsRefused(t *testing.T) {
	for margin, want := range map[float64]string{0: "everything", 1: "nothing", -1: "everything"} {
		if _, err := New(lift{1}, Settings{Margin: margin, Negatives: 1}, lmtest.Engine(t, 1), edittest.Facts()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("margin %v: %v", margin, err)
		}
	}
	ed, err := New(lift{2}, DefaultSettings(), lmtest.Engine(t, 1), edittest.Facts())
	if err != nil {
		t.Fatal(err)
	}
	m := edittest.TinyModel(t, "gpt2")
	if _, err := ed.Apply(context.Background(), m, requests()); err == nil || len(edit.Blamed(err)) != 3 {
		t.Errorf("changes of several layers: %v", err)
	}
	if _, err := editor(t, DefaultSettings()).Continue(context.Background(), m, &edit.Edited{Editor: "x"}, requests()); err == nil {
		t.Error("a sequence without a store went on")
	}
}

func TestAFullStoreIsRefused(t *testing.T) {
	c := DefaultSettings()
	c.Capacity = 2
	m, ed := edittest.TinyModel(t, "gpt2"), editor(t, c)
	r := requests()
	two, err := ed.Apply(t.Context(), m, r[:2])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ed.Continue(t.Context(), m, two, r[2:]); err == nil || !strings.Contains(err.Error(), "the store is full: it holds 2 edits") {
		t.Errorf("error %v", err)
	}
	again := r[0]
	again.ID = "again"
	if _, err := ed.Continue(t.Context(), m, two, []edit.Request{again}); err != nil {
		t.Errorf("an edit in the place of another: %v", err)
	}
}

func TestAStoreOfAnotherOrderIsRefused(t *testing.T) {
	m, ed := edittest.TinyModel(t, "gpt2"), editor(t, DefaultSettings())
	r := requests()
	build := func(list ...edit.Request) edit.Memory {
		e, err := ed.Apply(t.Context(), m, list)
		if err != nil {
			t.Fatal(err)
		}
		return e.Memory
	}
	whole := build(r...).(*Store)
	if err := whole.Follows(build(r[:2]...)); err != nil {
		t.Error(err)
	}
	for _, before := range []edit.Memory{build(r[1], r[0]), build(r[2])} {
		if err := whole.Follows(before); err == nil || !strings.Contains(err.Error(), "does not go on from") {
			t.Errorf("error %v", err)
		}
	}
}
