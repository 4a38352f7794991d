package edittest

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Factory makes an editor that computes with k.
type Factory func(k *kernel.Engine) (edit.Editor, error)

// Options say what an editor is like. The zero value is an editor that needs
// no subject and takes Requests.
type Options struct {
	Subject  bool           // it needs the subject
	Single   bool           // it takes one request at a time
	Weak     bool           // it isn't trained: the target need not become likelier
	Requests []edit.Request // to edit with; nil: Requests()
}

// suite is one editor under test.
type suite struct {
	m       *lm.Model
	factory Factory
	o       Options
	before  map[string][]float32 // the model's weights at the start
}

// Run tests the editors that factory makes on m, which must be able to express
// the requests and is left as it was.
func Run(t *testing.T, m *lm.Model, factory Factory, o Options) {
	if o.Requests == nil {
		o.Requests = Requests()
	}
	if o.Single {
		o.Requests = o.Requests[:1]
	}
	s := &suite{m: m, factory: factory, o: o}
	s.before = s.weights(t)
	for _, c := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"has a name", s.name},
		{"announces what it changes, changes nothing else, and undoes it", s.install},
		{"gives equal bytes for equal requests", s.repeats},
		{"gives equal bytes on one thread and on two", s.threads},
		{"refuses bad requests", s.badRequests},
		{"does nothing for nothing", s.nothing},
		{"stops when cancelled", s.cancelled},
		{"makes the target likelier", s.works},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(t)
			s.unchanged(t, "after the test")
		})
	}
}

func (s *suite) editor(t *testing.T, threads int) (edit.Editor, *kernel.Engine) {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	e, err := s.factory(k)
	if err != nil {
		t.Fatalf("making the editor: %v", err)
	}
	return e, k
}

func (s *suite) apply(t *testing.T, e edit.Editor) *edit.Edited {
	t.Helper()
	d, err := e.Apply(t.Context(), s.m, slices.Clone(s.o.Requests))
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	s.unchanged(t, "after Apply")
	return d
}

func (s *suite) weights(t *testing.T) map[string][]float32 {
	t.Helper()
	out := map[string][]float32{}
	for _, p := range s.m.Params() {
		values, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		out[p.Name] = slices.Clone(values)
	}
	if len(out) == 0 {
		t.Fatal("the model has no weights")
	}
	return out
}

func (s *suite) unchanged(t *testing.T, when string) {
	t.Helper()
	for name, now := range s.weights(t) {
		if !sameBits(now, s.before[name]) {
			t.Errorf("%s weight %s is not what it was", when, name)
		}
	}
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

func (s *suite) name(t *testing.T) {
	e, _ := s.editor(t, 1)
	if e.Name() == "" || strings.ContainsAny(e.Name(), " \t\n/") {
		t.Errorf("name %q is empty or no single word", e.Name())
	}
	if d := s.apply(t, e); d.Editor != e.Name() {
		t.Errorf("the edit says it is by %q, the editor is %q", d.Editor, e.Name())
	}
}

func (s *suite) install(t *testing.T) {
	e, k := s.editor(t, 2)
	d := s.apply(t, e)
	if len(d.Requests) != len(s.o.Requests) {
		t.Errorf("the edit names %d requests of %d", len(d.Requests), len(s.o.Requests))
	}
	ways := 0
	for _, way := range []bool{len(d.Changes) > 0, d.Context != nil, d.AdapterOf() != nil} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		t.Errorf("%d changes of weights, context %v, adapter %v: want one of the three", len(d.Changes), d.Context != nil, d.AdapterOf() != nil)
	}
	announced := map[string]bool{}
	for _, c := range d.Changes {
		if c.Delta != nil && c.Values != nil {
			t.Errorf("weight %s: both an addition and new values", c.Weight)
		}
		announced[c.Weight] = true
	}
	undo, err := d.Install(s.m, k)
	if err != nil {
		t.Fatalf("install: %v", err)
	}
	changed := 0
	for name, now := range s.weights(t) {
		switch same := sameBits(now, s.before[name]); {
		case same:
		case announced[name]:
			changed++
		default:
			t.Errorf("weight %s changed but was not announced", name)
		}
	}
	if len(d.Changes) > 0 && changed == 0 {
		t.Error("no weight changed")
	}
	undo()
	s.unchanged(t, "after undo")
}

func (s *suite) repeats(t *testing.T) {
	e, _ := s.editor(t, 1)
	first := s.apply(t, e)
	s.same(t, first, s.apply(t, e))
	other, _ := s.editor(t, 1)
	s.same(t, first, s.apply(t, other))
}

func (s *suite) threads(t *testing.T) {
	one, _ := s.editor(t, 1)
	two, _ := s.editor(t, 2)
	s.same(t, s.apply(t, one), s.apply(t, two))
}

// same fails unless two edits are equal to the bit.
func (s *suite) same(t *testing.T, a, b *edit.Edited) {
	t.Helper()
	if len(a.Changes) != len(b.Changes) {
		t.Fatalf("%d changes, then %d", len(a.Changes), len(b.Changes))
	}
	for i, c := range a.Changes {
		if c.Weight != b.Changes[i].Weight || !sameChange(c, b.Changes[i]) {
			t.Errorf("change %d, of weight %s, differs", i, c.Weight)
		}
	}
	if !reflect.DeepEqual(memory(t, a), memory(t, b)) {
		t.Error("the memories differ")
	}
	if (a.Context == nil) != (b.Context == nil) {
		t.Fatal("one has a context, the other has none")
	}
	if a.Context == nil {
		return
	}
	for _, r := range s.o.Requests {
		x, errX := a.Context(r.Prompt)
		y, errY := b.Context(r.Prompt)
		if errX != nil || errY != nil {
			t.Fatalf("context: %v, %v", errX, errY)
		}
		if x != y {
			t.Errorf("contexts differ:\n%s\n--- and ---\n%s", x, y)
		}
	}
}

// memory is what the edit keeps beside changes.
func memory(t *testing.T, e *edit.Edited) edit.Packed {
	t.Helper()
	if e.Memory == nil {
		return edit.Packed{}
	}
	p, err := e.Memory.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sameChange(a, b edit.Change) bool {
	if (a.Delta == nil) != (b.Delta == nil) {
		return false
	}
	if a.Delta == nil {
		return sameBits(a.Values, b.Values)
	}
	return a.Delta.Scale == b.Delta.Scale && sameMatrix(a.Delta.U, b.Delta.U) && sameMatrix(a.Delta.D, b.Delta.D)
}

func sameMatrix(a, b kernel.Matrix) bool {
	if a.Rows != b.Rows || a.Cols != b.Cols {
		return false
	}
	for i := range a.Rows {
		if !sameBits(a.Data[i*a.Stride:][:a.Cols], b.Data[i*b.Stride:][:b.Cols]) {
			return false
		}
	}
	return true
}

func (s *suite) badRequests(t *testing.T) {
	good := s.o.Requests[0]
	type bad struct {
		name   string
		change func(r *edit.Request)
	}
	cases := []bad{
		{"an empty target", func(r *edit.Request) { r.Target = "" }},
		{"a target of blanks", func(r *edit.Request) { r.Target = " \n" }},
		{"an empty prompt", func(r *edit.Request) { r.Prompt, r.Subject = "", "" }},
		{"a prompt longer than the context", func(r *edit.Request) { r.Prompt += strings.Repeat(" and so on", s.m.Limit()) }},
	}
	if s.o.Subject {
		cases = append(cases,
			bad{"no subject", func(r *edit.Request) { r.Subject = "" }},
			bad{"a subject that is not in the prompt", func(r *edit.Request) { r.Subject += "zzz" }},
			bad{"a subject that stands twice in the prompt", func(r *edit.Request) { r.Prompt += " " + r.Subject }},
		)
	}
	e, _ := s.editor(t, 1)
	for _, c := range cases {
		r := good
		c.change(&r)
		if d, err := e.Apply(t.Context(), s.m, []edit.Request{r}); err == nil || d != nil {
			t.Errorf("%s: edit %v, error %v; want an error alone", c.name, d != nil, err)
		}
		s.unchanged(t, "after "+c.name)
	}
}

func (s *suite) nothing(t *testing.T) {
	e, _ := s.editor(t, 1)
	d, err := e.Apply(t.Context(), s.m, nil)
	if err != nil {
		return
	}
	if len(d.Changes) > 0 {
		t.Errorf("%d changes from no requests", len(d.Changes))
	}
	if d.Context == nil {
		return
	}
	if text, err := d.Context(s.o.Requests[0].Prompt); text != "" || err != nil {
		t.Errorf("context %q, error %v, from no requests", text, err)
	}
}

func (s *suite) cancelled(t *testing.T) {
	e, _ := s.editor(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Apply(ctx, s.m, s.o.Requests); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want one that wraps context.Canceled", err)
	}
}

func (s *suite) works(t *testing.T) {
	e, k := s.editor(t, 2)
	d := s.apply(t, e)
	if d.Context != nil {
		s.tells(t, d)
		return
	}
	before := s.nll(t, k, nil)
	undo, err := d.Install(s.m, k)
	if err != nil {
		t.Fatalf("install: %v", err)
	}
	after := s.nll(t, k, d.AdapterOf())
	undo()
	t.Logf("mean −log p of the targets: %.4f before, %.4f after", before, after)
	if !s.o.Weak && !(after < before) {
		t.Errorf("the targets did not become likelier: mean −log p %.4f before, %.4f after", before, after)
	}
}

// nll is the mean over the requests.
func (s *suite) nll(t *testing.T, k *kernel.Engine, a edit.Adapter) float64 {
	sum := 0.0
	for _, r := range s.o.Requests {
		sum += adaptedNLL(t, s.m, k, a, r.Prompt, r.Target)
	}
	return sum / float64(len(s.o.Requests))
}

// tells checks that the context states the fact that a query asks for.
func (s *suite) tells(t *testing.T, d *edit.Edited) {
	for _, r := range s.o.Requests {
		text, err := d.Context(r.Prompt)
		if err != nil {
			t.Fatalf("context: %v", err)
		}
		if !strings.Contains(text, r.Prompt) || !strings.Contains(text, r.Target) {
			t.Errorf("context %q does not say that %q is answered by %q", text, r.Prompt, r.Target)
		}
	}
}
