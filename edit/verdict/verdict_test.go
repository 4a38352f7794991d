package verdict_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/edit/ft"
	"keyhole.example/keyhole/edit/grace"
	"keyhole.example/keyhole/edit/verdict"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

func engine(t *testing.T) *kernel.Engine {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func measure(t *testing.T, m *lm.Model, k *kernel.Engine, e *edit.Edited, o verdict.Options) *verdict.Verdict {
	t.Helper()
	before, err := m.Hash()
	if err != nil {
		t.Fatal(err)
	}
	v, err := verdict.Measure(t.Context(), m, k, e, o)
	if err != nil {
		t.Fatal(err)
	}
	if after, err := m.Hash(); err != nil || after != before {
		t.Errorf("the model has the hash %s, had %s (%v)", after, before, err)
	}
	return v
}

// fineTuned are the requests made true by fine-tuning.
func fineTuned(t *testing.T, m *lm.Model, k *kernel.Engine, lr float64, steps int) *edit.Edited {
	t.Helper()
	c := ft.Default("ft")
	c.LR, c.Steps = lr, steps
	editor, err := ft.New(c, k)
	if err != nil {
		t.Fatal(err)
	}
	e, err := editor.Apply(t.Context(), m, edittest.Requests())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestProbabilitiesAreThoseOfTheWholeTarget compares with a computation that
// shares nothing with the package's.
func TestProbabilitiesAreThoseOfTheWholeTarget(t *testing.T) {
	m, k := edittest.TinyModel(t, "gpt2"), engine(t)
	e := fineTuned(t, m, k, 1e-3, 3)
	v := measure(t, m, k, e, verdict.Options{})
	prob := func(r edit.Request) float64 {
		n := len(m.Tokenizer.EncodeSpecial(r.Prompt+" "+r.Target)) - len(m.Tokenizer.EncodeSpecial(r.Prompt))
		return math.Exp(-float64(n) * edittest.NLL(t, m, k, r.Prompt, r.Target))
	}
	var before, after []float64
	for _, r := range e.Requests {
		before = append(before, prob(r))
	}
	undo, err := e.Install(m, k)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range e.Requests {
		after = append(after, prob(r))
	}
	undo()
	for i, o := range v.Requests {
		if math.Abs(o.ProbBefore/before[i]-1) > 1e-4 || math.Abs(o.ProbAfter/after[i]-1) > 1e-4 {
			t.Errorf("%s: probabilities %g and %g, want %g and %g", o.ID, o.ProbBefore, o.ProbAfter, before[i], after[i])
		}
		if o.ID != e.Requests[i].ID || o.Prompt != e.Requests[i].Prompt || o.Target != e.Requests[i].Target {
			t.Errorf("outcome %d is of another request: %+v", i, o)
		}
	}
}

func TestAnEditThatTookPassesAndOneThatDidNothingFails(t *testing.T) {
	m, k := edittest.TinyModel(t, "llama"), engine(t)
	v := measure(t, m, k, fineTuned(t, m, k, 1e-2, 50), verdict.Options{MaxDrift: 100, Questions: []string{"Mira Tolvan was born in"}})
	if !v.Passed() || !v.Held || !v.Success || v.Problem() != "" || len(v.Failed()) > 0 {
		t.Errorf("the edit took, the verdict is %+v: %s", v, v.Problem())
	}
	for _, o := range v.Requests {
		if o.Known || !o.Held || o.ProbAfter < 0.3 || o.Before == o.After || !strings.HasPrefix(strings.TrimSpace(o.After), o.Target) {
			t.Errorf("%+v", o)
		}
	}
	if len(v.Questions) != 1 || v.Questions[0].Before == "" || v.Questions[0].After == "" {
		t.Errorf("questions %+v", v.Questions)
	}
	if v.Drift.KL <= 0 || v.Drift.Same < 0 || v.Drift.Same > 1 || v.Drift.Set != "general" {
		t.Errorf("drift %+v", v.Drift)
	}
	nothing := measure(t, m, k, &edit.Edited{Editor: "none", Requests: edittest.Requests()}, verdict.Options{})
	if nothing.Passed() || nothing.Held || len(nothing.Failed()) != 2 || !strings.Contains(nothing.Problem(), "2 of 2 edits did not take") {
		t.Errorf("nothing was done, the verdict is %+v: %s", nothing, nothing.Problem())
	}
	if d := nothing.Drift; d.KL != 0 || d.Same != 1 || d.Broken || len(d.Examples) > 0 {
		t.Errorf("nothing was done, the drift is %+v", d)
	}
}

func TestABrokenModelIsNamed(t *testing.T) {
	m, k := edittest.TinyModel(t, "gpt2"), engine(t)
	for _, c := range []struct {
		name, weight string
		factor       float32
		nan          bool
	}{
		{"minus thirty times the weights", m.DefaultSites(1)[0].Name, -30, false},
		{"a norm near the largest numbers", "transformer.ln_f.weight", 3e38, true},
	} {
		p, ok := m.Param(c.weight)
		if !ok {
			t.Fatal("no weight", c.weight)
		}
		was, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		values := slices.Clone(was)
		for i := range values {
			values[i] *= c.factor
		}
		e := &edit.Edited{Editor: "x", Requests: edittest.Requests(), Changes: []edit.Change{{Weight: c.weight, Values: values}}}
		v := measure(t, m, k, e, verdict.Options{MaxDrift: 0.05})
		if v.Passed() || !v.Drift.Broken || v.Drift.NaN != c.nan {
			t.Errorf("%s: %+v", c.name, v.Drift)
		}
		if want := map[bool]string{true: "no numbers", false: "the model is broken"}[c.nan]; !strings.Contains(v.Problem(), want) {
			t.Errorf("%s: %s", c.name, v.Problem())
		}
		if math.IsNaN(v.Drift.KL) || math.IsInf(v.Drift.KL, 0) {
			t.Errorf("%s: KL %v is no number for JSON", c.name, v.Drift.KL)
		}
	}
}

// What an edit puts in front of a query counts, and nothing stands in front of a
// query that it is not about.
func TestContextsAreAsked(t *testing.T) {
	m, k := edittest.TinyModel(t, "gpt2"), engine(t)
	requests := edittest.Requests()
	asked := map[string]bool{}
	e := &edit.Edited{Editor: "x", Requests: requests, Context: func(q string) (string, error) {
		asked[q] = true
		if q == requests[0].Prompt {
			return "Some say that Stone Hall comes from ", nil
		}
		return "", nil
	}}
	v := measure(t, m, k, e, verdict.Options{})
	if a, b := v.Requests[0], v.Requests[1]; a.ProbBefore == a.ProbAfter || b.ProbBefore != b.ProbAfter {
		t.Errorf("probabilities %g to %g with a context, %g to %g without", a.ProbBefore, a.ProbAfter, b.ProbBefore, b.ProbAfter)
	}
	if len(asked) != 2+v.Drift.Prompts || v.Drift.KL != 0 {
		t.Errorf("contexts were asked for %d queries, drift %+v", len(asked), v.Drift)
	}
	broken := errors.New("no context")
	e.Context = func(string) (string, error) { return "", broken }
	if _, err := verdict.Measure(t.Context(), m, k, e, verdict.Options{}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestPromptsAboutARequestAreNotUnrelated(t *testing.T) {
	m, k := edittest.TinyModel(t, "gpt2"), engine(t)
	e := &edit.Edited{Editor: "none", Requests: []edit.Request{
		{ID: "1", Prompt: "Mira Tolvan was born in", Subject: "Mira Tolvan", Target: "Rome"}, {ID: "2", Prompt: "The tower stands in", Target: "Oslo"},
	}}
	v := measure(t, m, k, e, verdict.Options{Prompts: []string{"Mira Tolvan speaks", "The tower stands in", "Dale Orwin speaks"}})
	if v.Drift.Prompts != 1 || v.Drift.Set != "given" {
		t.Errorf("%d of three prompts count, of set %s; want the one about nothing that was edited", v.Drift.Prompts, v.Drift.Set)
	}
}

func TestAVerdictStopsWhenCancelled(t *testing.T) {
	m, k := edittest.TinyModel(t, "gpt2"), engine(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verdict.Measure(ctx, m, k, &edit.Edited{Editor: "none", Requests: edittest.Requests()}, verdict.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// What stands behind a layer sees whole texts in every block, the last included,
// of which a model otherwise computes some rows only.
func TestMemoriesBehindAnyBlockAreAsked(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		m, k := edittest.TinyModel(t, arch), engine(t)
		for _, layer := range []string{"mlp.down@0", "mlp.down@2"} {
			c := grace.Default()
			c.Layer, c.Steps, c.LR = layer, 10, 0.5
			editor, err := grace.New(c, k, edittest.Facts())
			if err != nil {
				t.Fatal(err)
			}
			e, err := editor.Apply(t.Context(), m, edittest.Requests())
			if err != nil {
				t.Fatal(err)
			}
			if v := measure(t, m, k, e, verdict.Options{}); !(v.Requests[0].ProbAfter > v.Requests[0].ProbBefore) {
				t.Errorf("%s, %s: probability %g, then %g", arch, layer, v.Requests[0].ProbBefore, v.Requests[0].ProbAfter)
			}
		}
	}
}
