package mend

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/text"
)

// tiny makes a random model and an editor of its last block whose network has
// seen two tasks.
func tiny(t *testing.T, kind string) (*lm.Model, *kernel.Engine, *Editor) {
	t.Helper()
	return tinyWith(t, kind, func(*hypernet.Config) {}, func(*Editor) {})
}

// tinyWith is tiny with another network, and something done before it learns.
func tinyWith(t *testing.T, kind string, change func(*hypernet.Config), before func(*Editor)) (*lm.Model, *kernel.Engine, *Editor) {
	t.Helper()
	tok, err := tokenizer.Train([]string{"the capital of the land is the city of the king"}, 270, nil)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	m, err := lm.New(lm.Config{
		ModelType: "gpt2", Layers: 3, Width: 16, Heads: 2, FFN: 24, Vocab: tok.Size(), Context: 64, Eps: 1e-5,
		Tied: true, Activation: kernel.GELUTanh, QKVBias: true, OutBias: true, MLPBias: true,
	}, rng)
	if err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = tok
	k, err := kernel.New(kernel.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	sites := m.DefaultSites(1)
	cfg := hypernet.Default()
	cfg.Kind, cfg.Rank, cfg.EditLR = kind, 8, 0.5
	change(&cfg)
	net, err := hypernet.New(cfg, sites, rng)
	if err != nil {
		t.Fatal(err)
	}
	o, err := meta.New(meta.Default(), m, net, k, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	text := text.Options{MaxLen: 32, Locality: "text"}
	editor := New(o, kind, text, tok)
	before(editor)
	if err := learn(o, m, text, set(4).Edits); err != nil {
		t.Fatal(err)
	}
	return m, k, editor
}

// learn lets o's network see edits, so that its normaliser has statistics.
func learn(o *meta.Objective, m *lm.Model, text text.Options, edits []data.Edit) error {
	maker := &meta.Maker{Tok: m.Tokenizer, Text: text, Rephrase: true, Records: edits}
	var tasks []meta.Task
	for i := range edits {
		task, err := maker.Task(edits[i:i+1], 0)
		if err != nil {
			return err
		}
		tasks = append(tasks, task)
	}
	_, err := o.Step(tasks, make([]float32, len(o.Net.Flat)), false)
	return err
}

func set(n int) *data.Set {
	s := &data.Set{Name: "tiny", Format: "keyhole"}
	for i := range n {
		s.Edits = append(s.Edits, data.Edit{
			ID: fmt.Sprintf("e%d", i), Subject: fmt.Sprintf("land %d", i), Prompt: fmt.Sprintf("the capital of land %d is", i), TargetNew: "rome",
			Paraphrases: []string{fmt.Sprintf("land %d has the capital", i)},
		})
	}
	return s
}

func requests(n int) []edit.Request {
	var out []edit.Request
	for _, e := range set(n).Edits {
		out = append(out, edit.Request{ID: e.ID, Subject: e.Subject, Prompt: e.Prompt, Target: e.TargetNew})
	}
	return out
}

func eachKind(t *testing.T, test func(t *testing.T, kind string)) {
	for _, kind := range []string{"mend", "rates"} {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

func TestEditorPassesTheSuite(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		for _, kind := range []string{"mend", "rates"} {
			t.Run(arch+" "+kind, func(t *testing.T) {
				m := edittest.TinyModel(t, arch)
				edittest.Run(t, m, func(k *kernel.Engine) (edit.Editor, error) {
					sites := m.DefaultSites(2)
					cfg := hypernet.Default()
					cfg.Kind, cfg.Rank, cfg.EditLR = kind, 8, 0.5
					net, err := hypernet.New(cfg, sites, rand.New(rand.NewPCG(3, 4)))
					if err != nil {
						return nil, err
					}
					o, err := meta.New(meta.Default(), m, net, k, 1<<20)
					if err != nil {
						return nil, err
					}
					text := text.Options{Locality: "text"} // uncut, so that too long is too long
					return New(o, kind, text, m.Tokenizer), learn(o, m, text, edittest.Facts()[2:])
				}, edittest.Options{Weak: true})
			})
		}
	}
}

func TestEditsMadeTogetherAreThoseMadeAlone(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		m, _, e := tiny(t, kind)
		list := requests(5)
		together, err := e.ApplyEach(context.Background(), m, list)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			alone, err := e.Apply(context.Background(), m, list[i:i+1])
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(alone, together[i]) {
				t.Errorf("edit %d differs", i)
			}
		}
		if e.Name() != kind || len(together[0].Changes) != 2 {
			t.Errorf("%s makes %d changes", e.Name(), len(together[0].Changes))
		}
	})
}

func TestAnEditRaisesItsTarget(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		m, engine, e := tiny(t, kind)
		// step sizes small enough for the first order to hold
		for _, p := range e.o.Net.Rates {
			v, err := p.Values()
			if err != nil {
				t.Fatal(err)
			}
			v[0] = 1e-2
		}
		ask := func(editor edit.Editor) float64 {
			r, err := eval.Run(context.Background(), eval.Options{Model: m, Engine: engine, Editor: editor, Set: set(3)})
			if err != nil {
				t.Fatal(err)
			}
			return r.Metrics["target_nll"].Mean
		}
		if before, after := ask(unchanged{}), ask(e); after >= before {
			t.Errorf("−log P of the target is %v before and %v after", before, after)
		}
	})
}

type unchanged struct{}

func (unchanged) Name() string { return "none" }
func (unchanged) Apply(_ context.Context, _ *lm.Model, r []edit.Request) (*edit.Edited, error) {
	return &edit.Edited{Editor: "none", Requests: r}, nil
}

func TestTheReportedNormIsThatOfTheChange(t *testing.T) {
	m, engine, e := tiny(t, "mend")
	out, err := e.Apply(context.Background(), m, requests(2))
	if err != nil {
		t.Fatal(err)
	}
	before := map[string][]float32{}
	for _, c := range out.Changes {
		p, _ := m.Param(c.Weight)
		v, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		before[c.Weight] = v
	}
	undo, err := out.Install(m, engine)
	if err != nil {
		t.Fatal(err)
	}
	defer undo()
	sum := 0.0
	for name, old := range before {
		p, _ := m.Param(name)
		now, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		for i := range now {
			d := float64(now[i]) - float64(old[i])
			sum += d * d
		}
	}
	for _, f := range out.Report {
		if f.Name == "update_norm" {
			if got := f.Value.(float64); math.Abs(got-math.Sqrt(sum)) > 1e-4*got {
				t.Errorf("reported %v, measured %v", got, math.Sqrt(sum))
			}
		}
	}
}

func TestWhatCannotBeEditedIsNamed(t *testing.T) {
	m, _, e := tiny(t, "mend")
	for want, r := range map[string]edit.Request{
		"prompt is empty":         {ID: "a", Target: "x"},
		"target is empty":         {ID: "a", Prompt: "x", Target: " "},
		"longer than the context": {ID: "a", Prompt: strings.Repeat("z ", 50), Target: strings.Repeat("yq ", 30)},
	} {
		if _, err := e.Apply(context.Background(), m, []edit.Request{r}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	long := edit.Request{ID: "a", Prompt: "the capital of", Target: strings.Repeat("yq ", 12)}
	if _, err := e.Apply(context.Background(), m, []edit.Request{long}); err != nil {
		t.Errorf("a target longer than those of training: %v", err)
	}
	if _, err := e.Apply(context.Background(), m, nil); err == nil {
		t.Error("no request was accepted")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Apply(ctx, m, requests(1)); err == nil {
		t.Error("a cancelled edit was made")
	}
}

func TestTheFingerprintFollowsTheNetwork(t *testing.T) {
	_, _, e := tiny(t, "mend")
	a := e.Fingerprint()
	if a != e.Fingerprint() {
		t.Error("it changes by itself")
	}
	e.o.Net.Flat[0]++
	b := e.Fingerprint()
	e.o.Net.Groups[0].Norm.K++
	if c := e.Fingerprint(); a == b || b == c {
		t.Error("it does not follow weights and statistics")
	}
}
