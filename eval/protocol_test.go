package eval

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm"
)

func evaluate(t *testing.T, o Options) *Report {
	t.Helper()
	if o.Engine == nil {
		o.Engine = testEngine(t)
	}
	r, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnEditThatChangesNothingKeepsEverything(t *testing.T) {
	m := tinyModel(t, "gpt2")
	for _, protocol := range Protocols() {
		t.Run(protocol, func(t *testing.T) {
			r := evaluate(t, Options{Model: m, Editor: none{}, Set: tinySet(7), Protocol: protocol, Batch: 3})
			if r.N != 7 || r.Locality != 1 || r.LocalityKL != 0 {
				t.Errorf("n %d, locality %v, KL %v; want 7, 1, 0", r.N, r.Locality, r.LocalityKL)
			}
			if a, b := r.Metrics["reliability"].Mean, r.Metrics["reliability_before"].Mean; a != b {
				t.Errorf("reliability %v, but %v before", a, b)
			}
			if d := r.Metrics["drawdown"]; d.Mean != 0 || d.Cases+r.Metrics["drawdown.borrowed"].Cases != 7 {
				t.Errorf("drawdown %+v", d)
			}
			if a, b := r.Metrics["NS"].Mean, r.Metrics["NS_before"].Mean; a != b {
				t.Errorf("NS %v, but %v before", a, b)
			}
			if len(r.Missing) > 0 || r.NotFinite > 0 || r.EditsPerSecond <= 0 {
				t.Errorf("missing %v, not finite %d, %v edits/s", r.Missing, r.NotFinite, r.EditsPerSecond)
			}
		})
	}
}

// same compares two reports but for times.
func same(t *testing.T, a, b *Report) {
	t.Helper()
	if !reflect.DeepEqual(a.Metrics, b.Metrics) || a.N != b.N {
		for name, f := range a.Metrics {
			if g := b.Metrics[name]; g != f {
				t.Errorf("%s: %+v and %+v", name, f, g)
			}
		}
	}
}

func TestPackedEditsGiveTheBytesOfEditsOneByOne(t *testing.T) {
	for _, kind := range []string{"gpt2", "llama"} {
		t.Run(kind, func(t *testing.T) {
			m, k := tinyModel(t, kind), testEngine(t)
			set := tinySet(8)
			families := []string{"counterfact", "portability", "reverse", "generate"}
			alone := evaluate(t, Options{Model: m, Engine: k, Editor: random{}, Set: set, Pack: 1, Metrics: families})
			packed := evaluate(t, Options{Model: m, Engine: k, Editor: eachRandom{}, Set: set, Pack: 5, Metrics: families})
			same(t, alone, packed)
			if alone.LocalityKL == 0 || alone.Locality == 1 {
				t.Errorf("the edits change nothing: KL %v, locality %v", alone.LocalityKL, alone.Locality)
			}
			s := NewScorer(m, k, 1) // nothing fits the cache; passes of one text; logits of one row
			s.MaxRows, s.MaxLogits = 1, 1
			same(t, alone, evaluate(t, Options{Model: m, Engine: k, Editor: random{}, Set: set, Metrics: families, Scorer: s}))
			kept := NewScorer(m, k, 0)
			for range 2 {
				same(t, alone, evaluate(t, Options{Model: m, Engine: k, Editor: random{}, Set: set, Metrics: families, Scorer: kept}))
			}
		})
	}
}

func TestOutcomesAreThoseOfOneForwardPassPerPrompt(t *testing.T) {
	m, k := tinyModel(t, "llama"), testEngine(t)
	set := tinySet(3)
	p := &planner{model: m, set: set, families: families()[:4], terms: newTerms(nil)}
	for i := range set.Edits {
		c, err := p.plan(i)
		if err != nil {
			t.Fatal(err)
		}
		ed, err := random{}.Apply(context.Background(), m, c.Requests)
		if err != nil {
			t.Fatal(err)
		}
		s := NewScorer(m, k, 0)
		if err := s.Base(c.Probes, ed.FirstBlock(m)); err != nil {
			t.Fatal(err)
		}
		if err := s.Edited([]Job{{Edited: ed, Probes: c.Probes}}, ed.FirstBlock(m)); err != nil {
			t.Fatal(err)
		}
		deltas, _ := ed.Deltas()
		for _, q := range c.Probes {
			base, edited := plainOutcome(t, m, k, q, nil), plainOutcome(t, m, k, q, deltas)
			edited.KL = q.Edited.KL
			if !reflect.DeepEqual(q.Base, base) || !reflect.DeepEqual(q.Edited, edited) {
				t.Fatalf("%q %q: got %+v, %+v; want %+v, %+v", q.Prompt, q.Answer, q.Base, q.Edited, base, edited)
			}
		}
	}
}

func TestDenseEditsAreTakenBack(t *testing.T) {
	m := tinyModel(t, "gpt2")
	snapshot := weights(t, m)
	for _, protocol := range Protocols() {
		r := evaluate(t, Options{Model: m, Editor: random{dense: true}, Set: tinySet(4), Protocol: protocol, Batch: 2})
		if r.LocalityKL == 0 {
			t.Errorf("%s: nothing was changed", protocol)
		}
	}
	if !reflect.DeepEqual(snapshot, weights(t, m)) {
		t.Error("weights differ after the evaluation")
	}
}

func weights(t *testing.T, m *lm.Model) map[string][]float32 {
	out := map[string][]float32{}
	for _, p := range m.Params() {
		v, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		out[p.Name] = append([]float32(nil), v...)
	}
	return out
}

func TestSequentialEditsAccumulate(t *testing.T) {
	m := tinyModel(t, "gpt2")
	set := tinySet(5)
	single := evaluate(t, Options{Model: m, Editor: random{}, Set: set})
	now := evaluate(t, Options{Model: m, Editor: random{}, Set: set, Protocol: "sequential_immediate"})
	last := evaluate(t, Options{Model: m, Editor: random{}, Set: set, Protocol: "sequential_final"})
	if now.LocalityKL <= single.LocalityKL {
		t.Errorf("KL of sequential edits %v, of single ones %v", now.LocalityKL, single.LocalityKL)
	}
	if now.Metrics["NS_before"].Mean != single.Metrics["NS_before"].Mean || last.Metrics["NS_before"].Mean != single.Metrics["NS_before"].Mean {
		t.Error("the reference is not the base model")
	}
	one := tinySet(1)
	a := evaluate(t, Options{Model: m, Editor: random{}, Set: one, Protocol: "sequential_immediate"})
	b := evaluate(t, Options{Model: m, Editor: random{}, Set: one, Protocol: "sequential_final"})
	for name, f := range a.Metrics {
		if g := b.Metrics[name]; g.Mean != f.Mean {
			t.Errorf("%s after one edit: %v at once, %v at the end", name, f.Mean, g.Mean)
		}
	}
}

func TestContextGoesInFrontOfEveryPrompt(t *testing.T) {
	m := tinyModel(t, "llama")
	set := tinySet(4)
	empty := evaluate(t, Options{Model: m, Editor: stated{""}, Set: set})
	if empty.Locality != 1 || empty.LocalityKL > 1e-6 {
		t.Errorf("empty context: locality %v, KL %v", empty.Locality, empty.LocalityKL)
	}
	long := strings.Repeat("the king of the land is here. ", 6)
	shared := evaluate(t, Options{Model: m, Editor: stated{long}, Set: set})
	if shared.LocalityKL == 0 {
		t.Error("the context changes nothing")
	}
	k := testEngine(t)
	s := NewScorer(m, k, 0)
	p := &planner{model: m, set: set, families: families()[:2], terms: newTerms(nil)}
	c, err := p.plan(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Base(c.Probes, m.Config.Layers); err != nil {
		t.Fatal(err)
	}
	ed, _ := stated{long}.Apply(context.Background(), m, c.Requests)
	if err := s.Edited([]Job{{Edited: ed, Probes: c.Probes}}, m.Config.Layers); err != nil {
		t.Fatal(err)
	}
	for _, q := range c.Probes {
		whole, err := newProbe(m, long+q.Prompt, q.Answer, "")
		if err != nil {
			t.Fatal(err)
		}
		want := plainOutcome(t, m, k, whole, nil)
		want.KL = q.Edited.KL
		if !reflect.DeepEqual(q.Edited, want) {
			t.Errorf("%q: got %+v, want %+v", q.Prompt, q.Edited, want)
		}
	}
}

func TestAContextThatIsTooLongIsDroppedWithTheReason(t *testing.T) {
	m := tinyModel(t, "gpt2")
	_, err := Run(context.Background(), Options{Model: m, Engine: testEngine(t), Editor: stated{strings.Repeat("xyz ", 300)}, Set: tinySet(2)})
	if err == nil || !strings.Contains(err.Error(), "fewer demonstrations") {
		t.Errorf("got %v", err)
	}
}

// refusing refuses every second edit.
type refusing struct{ random }

func (r refusing) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	if strings.HasSuffix(requests[0].ID, "1") {
		return nil, errors.New("edit " + requests[0].ID + ": no")
	}
	return r.random.Apply(ctx, m, requests)
}

func TestRefusedEditsAreCounted(t *testing.T) {
	r := evaluate(t, Options{Model: tinyModel(t, "gpt2"), Editor: refusing{}, Set: tinySet(12)})
	if want := []Drop{{"edit e1: no", 2}}; r.N != 10 || !reflect.DeepEqual(r.Dropped, want) {
		t.Errorf("n %d, dropped %v; want 10, %v", r.N, r.Dropped, want)
	}
}

func TestAnInterruptedEvaluationEndsWithTheSameFile(t *testing.T) {
	m, k := tinyModel(t, "gpt2"), testEngine(t)
	set := tinySet(4)
	for _, protocol := range Protocols() {
		dir := t.TempDir()
		o := Options{Model: m, Engine: k, Editor: random{}, Set: set, Protocol: protocol, Batch: 3, Pack: 2, Metrics: []string{}}
		o.Out = filepath.Join(dir, "whole.jsonl")
		want := evaluate(t, o)
		whole, err := os.ReadFile(o.Out)
		if err != nil {
			t.Fatal(err)
		}
		const step = 173 // a prime: lines are cut at all sorts of places
		o.Out = filepath.Join(dir, "cut.jsonl")
		for cut := 0; cut <= len(whole); cut += step {
			if err := os.WriteFile(o.Out, whole[:cut], 0o644); err != nil {
				t.Fatal(err)
			}
			got := evaluate(t, o)
			raw, err := os.ReadFile(o.Out)
			if err != nil {
				t.Fatal(err)
			}
			if string(raw) != string(whole) {
				t.Fatalf("%s: cut at byte %d, the file ends differently:\n%s\nwant\n%s", protocol, cut, raw, whole)
			}
			same(t, want, got)
		}
	}
}

func TestAFinishedEvaluationMakesNoEdits(t *testing.T) {
	n := 0
	o := Options{Model: tinyModel(t, "gpt2"), Engine: testEngine(t), Editor: random{applied: &n}, Set: tinySet(3), Out: filepath.Join(t.TempDir(), "r.jsonl")}
	first := evaluate(t, o)
	n = 0
	again := evaluate(t, o)
	if n != 0 || again.EditsPerSecond == 0 || math.Abs(again.EditsPerSecond-first.EditsPerSecond) > 1e-9*first.EditsPerSecond {
		t.Errorf("%d edits were made again; %v edits/s, then %v", n, first.EditsPerSecond, again.EditsPerSecond)
	}
	o.Set = tinySet(3)
	o.Limit = 2
	if r := evaluate(t, o); r.N != 2 || n != 0 {
		t.Errorf("with a smaller limit n is %d, %d edits made", r.N, n)
	}
}

func TestResultsOfAnotherEvaluationAreRefused(t *testing.T) {
	m, k := tinyModel(t, "gpt2"), testEngine(t)
	path := filepath.Join(t.TempDir(), "r.jsonl")
	o := Options{Model: m, Engine: k, Editor: random{}, Set: tinySet(2), Out: path}
	evaluate(t, o)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"editor":    func(o *Options) { o.Editor = none{} },
		"edits":     func(o *Options) { o.Set = tinySet(2); o.Set.Edits[1].TargetNew = "paris" },
		"protocol":  func(o *Options) { o.Protocol = "batch" },
		"max_len":   func(o *Options) { o.MaxLen = 5 },
		"seed":      func(o *Options) { o.Seed = 5 },
		"metrics":   func(o *Options) { o.Metrics = []string{"reverse"} },
		"model":     func(o *Options) { o.Model = tinyModel(t, "llama") },
		"data set:": func(o *Options) { o.Set = tinySet(2); o.Set.Name = "other" },
	} {
		c := o
		change(&c)
		_, err := Run(context.Background(), c)
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(before) {
		t.Errorf("the file was changed: %v", err)
	}
	if err := os.WriteFile(path, []byte("{\"a\": 1}\nnot ours\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a foreign file: got %v", err)
	}
}

func TestACancelledEvaluationKeepsItsFile(t *testing.T) {
	m, k := tinyModel(t, "gpt2"), testEngine(t)
	o := Options{Model: m, Engine: k, Editor: random{}, Set: tinySet(4), Pack: 1, Out: filepath.Join(t.TempDir(), "r.jsonl")}
	ctx, cancel := context.WithCancel(context.Background())
	o.Progress = func(p Progress) {
		if p.Done == 2 {
			cancel()
		}
	}
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	f, err := os.Open(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ReadResults(f)
	if err != nil || len(r.Lines) != 2 {
		t.Errorf("%d lines, %v", len(r.Lines), err)
	}
}

func TestWrongOptionsAreNamed(t *testing.T) {
	m, k := tinyModel(t, "gpt2"), testEngine(t)
	for want, o := range map[string]Options{
		"protocol":     {Protocol: "parallel"},
		"family":       {Metrics: []string{"nothing"}},
		"prompt style": {Style: "chat"},
		"limit":        {Limit: -1},
	} {
		o.Model, o.Engine, o.Editor, o.Set = m, k, none{}, tinySet(1)
		if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	if _, err := Run(context.Background(), Options{}); err == nil {
		t.Error("no model was accepted")
	}
}
