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

var tinyText = &AbilityText{Name: "tiny", Texts: []string{"the capital of the land is the city of the king", "x", "", strings.Repeat("the king of the land lives in the city. ", 9)}}

func TestSequencesOfOneRoundAreBatches(t *testing.T) {
	m := tinyModel(t, "gpt2")
	set := tinySet(7)
	batch := evaluate(t, Options{Model: m, Editor: random{dense: true}, Set: set, Protocol: "batch", Batch: 3})
	single := evaluate(t, Options{Model: m, Editor: random{dense: true}, Set: set})
	for _, protocol := range []string{"sequential_immediate", "sequential_final", "sequential_both"} {
		for want, o := range map[*Report]Options{batch: {Batch: 3}, single: {Batch: 1}} {
			o.Model, o.Editor, o.Set, o.Protocol, o.Rounds = m, random{dense: true}, set, protocol, 1
			got := evaluate(t, o)
			for name, f := range want.Metrics {
				if g := got.Metrics[name]; g.Mean != f.Mean || g.Cases != f.Cases {
					t.Errorf("%s by %d: %s %v, want %v", protocol, o.Batch, name, g.Mean, f.Mean)
				}
			}
		}
	}
}

func TestAskedTwiceIsAskedAtOnceAndAtTheEnd(t *testing.T) {
	m := tinyModel(t, "llama")
	set := tinySet(12)
	run := func(protocol string) *Report {
		return evaluate(t, Options{Model: m, Editor: random{}, Set: set, Protocol: protocol, Batch: 2, Rounds: 3})
	}
	now, last, both := run("sequential_immediate"), run("sequential_final"), run("sequential_both")
	for name, f := range last.Metrics {
		if g := both.Metrics[name]; g.Mean != f.Mean {
			t.Errorf("%s at the end: %v, want %v", name, g.Mean, f.Mean)
		}
	}
	for name, f := range now.Metrics {
		if g := both.Sequence.AtOnce[name]; name != "S_hm" && name != "S" && !strings.Contains(name, "harmonic") && g.Name != "" && g != f {
			t.Errorf("%s at once: %+v, want %+v", name, g, f)
		}
	}
	if both.N != 12 || len(both.Sequence.AtOnce) == 0 || now.Sequence.AtOnce != nil {
		t.Errorf("n %d, %d figures at once", both.N, len(both.Sequence.AtOnce))
	}
	edits, rounds := 0, map[float64]bool{}
	for _, a := range both.Sequence.ByAge {
		edits += a.Edits
		rounds[a.Age] = true
	}
	if want := map[float64]bool{0: true, 1: true, 2: true}; edits != 12 || !reflect.DeepEqual(rounds, want) {
		t.Errorf("%d edits of ages %v; want 12 of %v", edits, rounds, want)
	}
}

func TestRetentionIsOfEditsThatWereRightAtOnce(t *testing.T) {
	q := &Sequence{atOnce: map[string]*sums{}, first: map[string]bool{}}
	line := func(id string, right float64) *Line {
		return &Line{ID: id, Values: Values{"reliability": {Sum: right, N: 1}}}
	}
	for i, right := range []float64{1, 1, 1, 0} {
		q.add(slot{index: i, asked: askedRound, round: i, last: 3}, line(string(rune('a'+i)), right))
	}
	for i, right := range []float64{0, 1, 1, 1} {
		q.add(slot{index: i, round: i, last: 3}, line(string(rune('a'+i)), right))
	}
	q.finish(newReport(Record{}))
	if q.Retention == nil || math.Abs(*q.Retention-2.0/3) > 1e-12 {
		t.Errorf("retention %v, want 2/3", q.Retention)
	}
	if n := len(q.ByAge); n != 4 || q.ByAge[0].Retention != nil || *q.ByAge[3].Retention != 0 || q.ByAge[3].Age != 3 {
		t.Errorf("by age: %+v", q.ByAge)
	}
}

// TestAgesOfWholeRoundsAreWhole numbers, whatever the number of edits of a round.
func TestAgesOfWholeRoundsAreWhole(t *testing.T) {
	for n := 1; n <= 30; n++ {
		q := &Sequence{atOnce: map[string]*sums{}, first: map[string]bool{}}
		for i := range n {
			q.add(slot{index: i, round: 0, last: 1}, &Line{ID: string(rune('a' + i)), Values: Values{"reliability": {Sum: 1, N: 1}}})
		}
		if q.finish(newReport(Record{})); len(q.ByAge) != 1 || q.ByAge[0].Age != 1 {
			t.Errorf("%d edits of age 1 are %+v", n, q.ByAge)
		}
	}
}

func TestGeneralAbilityOfAnUnchangedModelIsTheBaseModels(t *testing.T) {
	m, k := tinyModel(t, "gpt2"), testEngine(t)
	none := evaluate(t, Options{Model: m, Engine: k, Editor: none{}, Set: tinySet(3), Protocol: "sequential_final", Ability: tinyText})
	a := none.Sequence.Ability
	if a == nil || a.KL != 0 || a.Agreement != 1 || a.Perplexity != a.PerplexityBefore || a.Tokens < 20 {
		t.Fatalf("ability %+v", a)
	}
	// the perplexity is that of one forward pass per text
	sum, n := 0.0, 0
	r := &run{Options: Options{Model: m, Ability: tinyText}}
	probes, err := r.abilityProbes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range probes {
		o := plainOutcome(t, m, k, p, nil)
		sum += o.MeanNLL() * float64(len(o.NLL))
		n += len(o.NLL)
	}
	if n != a.Tokens || math.Abs(sum/float64(n)-a.NLLBefore) > 1e-6 {
		t.Errorf("%v nats on %d tokens, want %v on %d", a.NLLBefore, a.Tokens, sum/float64(n), n)
	}
	changed := evaluate(t, Options{Model: m, Editor: random{}, Set: tinySet(6), Protocol: "sequential_both", Batch: 2, Ability: tinyText})
	if a := changed.Sequence.Ability; a.KL <= 0 || a.Agreement >= 1 || changed.Sequence.BytesPerEdit <= 0 || changed.Sequence.TokenSeconds <= 0 {
		t.Errorf("ability %+v, %v bytes an edit", a, changed.Sequence.BytesPerEdit)
	}
}

func TestAnInterruptedSequenceEndsWithTheSameFile(t *testing.T) {
	m, k := tinyModel(t, "gpt2"), testEngine(t)
	for _, o := range []Options{
		{Protocol: "sequential_both", Batch: 2, Rounds: 2, Ability: tinyText},
		{Protocol: "sequential_immediate", Batch: 2, Ability: tinyText},
		{Protocol: "sequential_final", Rounds: 3},
	} {
		o.Model, o.Engine, o.Editor, o.Set, o.Pack, o.Metrics = m, k, random{}, tinySet(5), 2, []string{}
		dir := t.TempDir()
		o.Out = filepath.Join(dir, "whole.jsonl")
		want := evaluate(t, o)
		whole, err := os.ReadFile(o.Out)
		if err != nil {
			t.Fatal(err)
		}
		o.Out = filepath.Join(dir, "cut.jsonl")
		for cut := 0; cut <= len(whole); cut += 977 {
			if err := os.WriteFile(o.Out, whole[:cut], 0o644); err != nil {
				t.Fatal(err)
			}
			got := evaluate(t, o)
			raw, err := os.ReadFile(o.Out)
			if err != nil {
				t.Fatal(err)
			}
			if string(raw) != string(whole) {
				t.Fatalf("%s: cut at byte %d, the file ends differently", o.Protocol, cut)
			}
			same(t, want, got)
			got.Sequence.TokenSeconds, got.Sequence.TokenSecondsBefore = want.Sequence.TokenSeconds, want.Sequence.TokenSecondsBefore
			if !reflect.DeepEqual(got.Sequence.ByAge, want.Sequence.ByAge) || !reflect.DeepEqual(got.Sequence.Ability, want.Sequence.Ability) {
				t.Fatalf("%s: cut at byte %d: %+v, want %+v", o.Protocol, cut, got.Sequence, want.Sequence)
			}
		}
	}
}

// blaming refuses some requests, naming all of them, and notes how often it is
// asked.
type blaming struct {
	random
	asked *int
}

func (b blaming) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	*b.asked++
	var errs []error
	for _, r := range requests {
		if strings.HasSuffix(r.ID, "1") || r.ID == "e4" {
			errs = append(errs, &edit.RequestError{ID: r.ID, Err: errors.New("edit " + r.ID + ": no")})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return b.random.Apply(ctx, m, requests)
}

func TestARoundGoesOnWithoutTheRequestsThatAreRefused(t *testing.T) {
	for _, protocol := range []string{"batch", "sequential_final"} {
		n := 0
		r := evaluate(t, Options{Model: tinyModel(t, "gpt2"), Editor: blaming{asked: &n}, Set: tinySet(12), Protocol: protocol, Batch: 6})
		if want := []Drop{{"edit e1: no", 3}}; r.N != 9 || !reflect.DeepEqual(r.Dropped, want) || n != 4 {
			t.Errorf("%s: n %d, dropped %v, asked %d times; want 9, %v, 4 times", protocol, r.N, r.Dropped, n, want)
		}
	}
}

// counting is an editor that goes on from its last edit.
type counting struct{ random }

func (c counting) Continue(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	e, err := c.Apply(ctx, m, requests)
	if err == nil {
		n := 1
		if last != nil {
			n = last.Report[0].Value.(int) + 1
		}
		e.Add("edits", n)
		if n > 2 {
			return nil, errors.New("there are two already")
		}
	}
	return e, err
}

func TestEachSequenceBeginsAnew(t *testing.T) {
	m := tinyModel(t, "gpt2")
	for rounds, dropped := range map[int]int{2: 0, 3: 2, 0: 4} {
		r := evaluate(t, Options{Model: m, Editor: counting{}, Set: tinySet(6), Protocol: "sequential_immediate", Rounds: rounds})
		if r.N != 6-dropped {
			t.Errorf("sequences of %d: %d edits, want %d", rounds, r.N, 6-dropped)
		}
	}
	if r := evaluate(t, Options{Model: m, Editor: counting{}, Set: tinySet(6)}); r.N != 6 {
		t.Errorf("%d single edits", r.N)
	}
}
