package serac

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/encoder"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/text"
)

// tiny is a learner of small fresh networks.
func tiny(t *testing.T, arch string, change func(*Config, *Parts)) *Learner {
	t.Helper()
	k := lmtest.Engine(t, 1)
	base, other := edittest.TinyModel(t, arch), edittest.TinyModel(t, arch)
	cfg := Default()
	cfg.New = encoder.Size{Layers: 1, Width: 8, Heads: 2, Positions: 64}
	p := Parts{Base: base, Counterfactual: other, Engine: k, CEdit: 0.1, CLoc: 1}
	change(&cfg, &p)
	enc, err := encoder.New(cfg.New, base.Tokenizer, k, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	p.Encoder = enc
	for _, x := range enc.Params() { // far enough from one another to have slopes
		if v, err := x.Values(); err == nil && x.Rows > 1 {
			k.Scale(v, 8)
		}
	}
	l, err := New(cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// tasks are the invented facts as examples of n edits.
func tasks(t *testing.T, l *Learner, n int) []meta.Task {
	t.Helper()
	facts := edittest.Facts()
	m := meta.Maker{Tok: l.Base.Tokenizer, Text: text.Options{Locality: "answer"}, Rephrase: true, Records: facts}
	var out []meta.Task
	for lo := 0; lo+n <= len(facts); lo += n {
		task, err := m.Task(facts[lo:lo+n], 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, task)
	}
	return out
}

// A step along the gradient changes the loss by its length, under every setting.
func TestGradientsAreThoseOfTheLoss(t *testing.T) {
	for name, change := range map[string]func(*Config, *Parts){
		"default":          func(*Config, *Parts) {},
		"own negatives":    func(c *Config, _ *Parts) { c.Negatives = "own" },
		"first token":      func(c *Config, _ *Parts) { c.Pool = encoder.First },
		"plain distance":   func(c *Config, _ *Parts) { c.Square = false },
		"cosine":           func(c *Config, _ *Parts) { c.Cosine, c.Pool = true, encoder.First },
		"two heads":        func(c *Config, _ *Parts) { c.Heads = 2 },
		"bounded":          func(c *Config, _ *Parts) { c.Bounded = true },
		"frozen encoder":   func(c *Config, _ *Parts) { c.FreezeEncoder = true },
		"frozen model":     func(c *Config, _ *Parts) { c.FreezeModel = true },
		"mixture":          func(c *Config, _ *Parts) { c.Supervised = false },
		"mixture, frozen":  func(c *Config, _ *Parts) { c.Supervised, c.FreezeModel = false, true },
		"reference":        func(_ *Config, p *Parts) { p.Reference = true },
		"reference, mixed": func(c *Config, p *Parts) { c.Supervised, p.Reference = false, true },
	} {
		t.Run(name, func(t *testing.T) { follow(t, tiny(t, "gpt2", change)) })
	}
	t.Run("llama", func(t *testing.T) { follow(t, tiny(t, "llama", func(c *Config, _ *Parts) { c.Supervised = false })) })
}

func follow(t *testing.T, l *Learner) {
	examples := tasks(t, l, 4)[:1]
	grads := make([]float32, len(l.Values()))
	at, err := l.Step(examples, grads, false)
	if err != nil {
		t.Fatal(err)
	}
	norm := math.Sqrt(l.Engine.SumSquares(grads))
	if norm == 0 {
		t.Fatal("the gradient is zero")
	}
	start := slices.Clone(l.Values())
	loss := func(by float64) float64 {
		for i, v := range start {
			l.Values()[i] = v + float32(by/norm)*grads[i]
		}
		out, err := l.Step(examples, make([]float32, len(grads)), false)
		if err != nil {
			t.Fatal(err)
		}
		return out[0].Total
	}
	const step = 2e-3
	slope := (loss(step) - loss(-step)) / (2 * step)
	if back := loss(0); back != at[0].Total {
		t.Errorf("the loss is %v, then %v at the same place", at[0].Total, back)
	}
	if math.Abs(slope/norm-1) > 0.03 {
		t.Errorf("along the gradient the loss rises by %v a step, want %v", slope, norm)
	}
	if l.cfg.FreezeModel && l.cfg.Supervised {
		return // the graph has no row of the counterfactual model
	}
	if out, err := l.Score(examples); err != nil || math.Abs(out[0].Total-at[0].Total) > 1e-4*(1+math.Abs(at[0].Total)) || out[0].Right != at[0].Right || out[0].Stability != at[0].Stability {
		t.Errorf("without a graph the step scores %+v (%v), with it %+v", out, err, at)
	}
}

// What a graph was built for, and how many examples share a run, changes no byte of
// a gradient.
func TestGradientsDoNotDependOnTheGraph(t *testing.T) {
	for _, supervised := range []bool{true, false} {
		l := tiny(t, "gpt2", func(c *Config, _ *Parts) { c.Supervised = supervised })
		examples := tasks(t, l, 2)
		small, again := make([]float32, len(l.Values())), make([]float32, len(l.Values()))
		if _, err := l.Step(examples[:1], small, false); err != nil {
			t.Fatal(err)
		}
		all := make([]float32, len(l.Values()))
		if _, err := l.Step(examples, all, false); err != nil { // a larger graph
			t.Fatal(err)
		}
		if _, err := l.Step(examples[:1], again, false); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(small, again) {
			t.Errorf("supervised %v: a gradient depends on the graph's bounds", supervised)
		}
		for _, x := range examples[1:] {
			if _, err := l.Step([]meta.Task{x}, again, true); err != nil {
				t.Fatal(err)
			}
		}
		lmtest.Near(t, "the sum of the examples' gradients", again, all, 1e-4, 0)
	}
}

// edited is an edit of requests by a learner.
func edited(t *testing.T, l *Learner, last *edit.Edited, requests ...edit.Request) *edit.Edited {
	t.Helper()
	e, err := NewEditor(l, "").Continue(t.Context(), l.Base, last, requests)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func memoryOf(e *edit.Edited) *Memory { return e.Memory.(*Memory) }

func respond(t *testing.T, m edit.Memory, prompt string) edit.Response {
	t.Helper()
	r, err := m.(*Memory).Respond(prompt, "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnEditAnswersInItsScope(t *testing.T) {
	l := tiny(t, "gpt2", func(*Config, *Parts) {})
	r := edittest.Requests()
	e := edited(t, l, nil, r[0])
	if a := respond(t, e.Memory, r[0].Prompt); a.Model != l.Counterfactual || a.Context != r[0].Prompt+" "+r[0].Target+" " || a.Share != 1 {
		t.Errorf("the edit's own prompt is answered by %+v", a)
	}
	// who answers is who is more alike than the threshold
	other := "Lena Marsh speaks the language"
	v, err := l.vectors([]string{r[0].Prompt, other})
	if err != nil {
		t.Fatal(err)
	}
	p := math.Exp(l.measure.log(v[0], v[1]))
	for _, c := range []struct {
		threshold float64
		in        bool
	}{{p * 0.99, true}, {p, false}, {math.Min(p*1.01, 0.999), false}} {
		l.cfg.Threshold = c.threshold
		if got := respond(t, e.Memory, other).Model != nil; got != c.in {
			t.Errorf("similarity %v, threshold %v: in scope %v", p, c.threshold, got)
		}
	}
	// a soft answer is mixed when it is scored, not when it is generated
	l.cfg.Soft, l.cfg.Threshold = true, 0.999
	scored, err := memoryOf(e).Respond(other, "French")
	if err != nil || math.Abs(scored.Share-p) > 1e-9 || scored.Model == nil {
		t.Errorf("a soft answer has the share %v, want %v (%v)", scored.Share, p, err)
	}
	if a := respond(t, e.Memory, other); a.Model != nil {
		t.Errorf("a text is generated by %+v", a)
	}
}

func TestRemovingAnEditRestoresWhatWas(t *testing.T) {
	l := tiny(t, "llama", func(c *Config, _ *Parts) { c.Threshold = 0.9 })
	r := edittest.Requests()
	one := edited(t, l, nil, r[0])
	both := edited(t, l, one, r[1])
	if n := len(memoryOf(one).Edits); n != 1 {
		t.Errorf("the first memory holds %d edits after the second was made", n)
	}
	left, err := memoryOf(both).Forget(r[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range edittest.Facts() {
		for _, q := range append([]string{f.Prompt}, f.Paraphrases...) {
			if a, b := respond(t, left, q), respond(t, one.Memory, q); a != b {
				t.Errorf("%q: %+v, without the second edit %+v", q, a, b)
			}
		}
	}
	none, err := left.(*Memory).Forget(r[0].ID)
	if err != nil || respond(t, none, r[0].Prompt).Model != nil {
		t.Errorf("an empty memory answers (%v)", err)
	}
	if _, err := left.(*Memory).Forget("nosuch"); err == nil || !strings.Contains(err.Error(), "no edit nosuch") {
		t.Errorf("error %v", err)
	}
}

func TestALaterEditOfAPromptTakesTheEarlierOnesPlace(t *testing.T) {
	r := edittest.Requests()
	again := r[0]
	again.ID, again.Target = "again", "Oslo"
	for _, reference := range []bool{false, true} {
		l := tiny(t, "gpt2", func(_ *Config, p *Parts) { p.Reference = reference })
		first := edited(t, l, nil, r...)
		e := edited(t, l, first, again)
		want, answer := 2, "Oslo"
		if reference { // both stay, and the first answers
			want, answer = 3, r[0].Target
		}
		if n := len(memoryOf(e).Edits); n != want {
			t.Errorf("reference %v: %d edits, want %d", reference, n, want)
		}
		if a := respond(t, e.Memory, r[0].Prompt); !strings.Contains(a.Context, answer) {
			t.Errorf("reference %v: %q stands in front, want %s", reference, a.Context, answer)
		}
		if err := edit.Follows(first, e); err != nil {
			t.Errorf("reference %v: %v", reference, err)
		}
	}
}

// A memory is read again, and refuses what it does not belong to.
func TestAMemoryIsReadAgain(t *testing.T) {
	l := tiny(t, "gpt2", func(*Config, *Parts) {})
	r := edittest.Requests()
	e := edited(t, l, nil, r...)
	p, err := e.Memory.Pack()
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewEditor(l, "").Open(t.Context(), l.Base, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{r[0].Prompt, r[1].Prompt, "Lena Marsh speaks the language"} {
		if a, b := respond(t, m, q), respond(t, e.Memory, q); a != b {
			t.Errorf("%q: %+v read again, %+v before", q, a, b)
		}
	}
	if got := m.(*Memory).Requests(); len(got) != 2 || got[0].Prompt != r[0].Prompt || got[1].Target != r[1].Target {
		t.Errorf("requests %+v", got)
	}
	refused := func(what, want string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", what, err, want)
		}
	}
	other := tiny(t, "llama", func(*Config, *Parts) {})
	_, err = NewEditor(other, "").Open(t.Context(), other.Base, p)
	refused("another model", "another model", err)
	trained := tiny(t, "gpt2", func(*Config, *Parts) {})
	trained.Values()[0]++
	_, err = NewEditor(trained, "").Open(t.Context(), trained.Base, p)
	refused("other networks", "other networks", err)
	_, err = NewEditor(trained, "").Continue(t.Context(), trained.Base, e, r[:1])
	refused("a sequence of other networks", "other networks", err)
	_, err = NewEditor(l, "").Continue(t.Context(), l.Base, &edit.Edited{Editor: "grace"}, r[:1])
	refused("a sequence of another editor", "no memory of texts", err)
	_, err = NewEditor(l, "").Open(t.Context(), l.Base, edit.Packed{Kind: "codebook", Info: []byte("{}")})
	refused("another kind", "not SERAC's", err)
	p.Info = []byte(strings.Replace(string(p.Info), `"id":"`+r[1].ID, `"id":"`+r[0].ID, 1))
	_, err = Unpack(p)
	refused("an edit twice", "there twice", err)
}

func TestASequenceInAnotherOrderIsRefused(t *testing.T) {
	l := tiny(t, "gpt2", func(*Config, *Parts) {})
	r := edittest.Requests()
	a, b := edited(t, l, nil, r[0]), edited(t, l, nil, r[1])
	ab := edited(t, l, a, r[1])
	if err := edit.Follows(a, ab); err != nil {
		t.Error(err)
	}
	if err := edit.Follows(b, ab); err == nil || !strings.Contains(err.Error(), "does not go on from") {
		t.Errorf("error %v", err)
	}
	if err := edit.Follows(ab, a); err == nil {
		t.Error("an earlier memory goes on from a later one")
	}
}

func TestBadInput(t *testing.T) {
	l := tiny(t, "gpt2", func(*Config, *Parts) {})
	r := edittest.Requests()
	for what, c := range map[string]struct {
		want     string
		requests []edit.Request
	}{
		"a full memory":  {"the memory is full: it holds 1 edits", r[1:]},
		"no requests":    {"nothing to edit", nil},
		"no target":      {"the target is empty", []edit.Request{{ID: "x", Prompt: "a"}}},
		"an id twice":    {"this id already", []edit.Request{{ID: r[0].ID, Prompt: "The sun", Target: "Rome"}}},
		"a long context": {"the counterfactual model takes", []edit.Request{{ID: "x", Prompt: strings.Repeat("Mira Tolvan was born ", 9), Target: "Rome"}}},
	} {
		if l.cfg.Capacity = 0; what == "a full memory" {
			l.cfg.Capacity = 1
		}
		_, err := NewEditor(l, "").Continue(t.Context(), l.Base, edited(t, l, nil, r[0]), c.requests)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", what, err, c.want)
		}
	}
	for what, c := range map[string]struct {
		want   string
		change func(*Config)
	}{
		"a threshold above all": {"keeps nothing", func(c *Config) { c.Threshold = 1 }},
		"no number":             {"keeps nothing", func(c *Config) { c.Threshold = math.NaN() }},
		"a threshold below all": {"keeps everything", func(c *Config) { c.Threshold = -0.1 }},
		"below all cosines":     {"keeps everything", func(c *Config) { c.Cosine, c.Threshold = true, 0.1 }},
		"below all unit ones":   {"keeps everything", func(c *Config) { c.Threshold = 0.01 }},
		"no edit in front":      {"has no {edit}", func(c *Config) { c.Context = "now " }},
		"nothing to be trained": {"nothing is left", func(c *Config) { c.FreezeEncoder, c.FreezeModel = true, true }},
		"unknown negatives":     {"neither own nor all", func(c *Config) { c.Negatives = "some" }},
	} {
		cfg := Default()
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", what, err, c.want)
		}
	}
	base := edittest.TinyModel(t, "gpt2")
	if _, err := New(Default(), Parts{Base: base, Counterfactual: base, Encoder: l.Encoder, Engine: l.Engine}); err == nil || !strings.Contains(err.Error(), "a copy of it") {
		t.Errorf("error %v", err)
	}
}

// Mix is the log of the mixture of probabilities, also at its ends.
func TestMix(t *testing.T) {
	f, h := []float32{0, 1, -80}, []float32{2, -3, 60}
	prob := func(x []float32) []float64 {
		sum := 0.0
		out := make([]float64, len(x))
		for i, v := range x {
			out[i] = math.Exp(float64(v))
			sum += out[i]
		}
		for i := range out {
			out[i] /= sum
		}
		return out
	}
	for _, share := range []float64{0, 1e-9, 0.3, 1} {
		got := make([]float32, 3)
		edit.Mix(got, f, h, share)
		a, b := prob(f), prob(h)
		for i := range got {
			want := math.Log((1-share)*a[i] + share*b[i])
			if math.Abs(float64(got[i])-want) > 1e-5*(1+math.Abs(want)) {
				t.Errorf("share %v, token %d: %v, want %v", share, i, got[i], want)
			}
		}
	}
}

// In training the classifier learns which texts are about an edit, and the
// counterfactual model to say what stands in front of it.
func TestTrainingLearns(t *testing.T) {
	l := tiny(t, "gpt2", func(c *Config, _ *Parts) {})
	examples := tasks(t, l, 4)
	grads := make([]float32, len(l.Values()))
	m, v := make([]float32, len(grads)), make([]float32, len(grads))
	var first, last []meta.Outcome
	for step := range 80 {
		out, err := l.Step(examples, grads, false)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = out
		}
		last = out
		l.Engine.AdamStep(l.Values(), grads, m, v, kernel.Adam{LR: 3e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, step+1, 1)
	}
	for i := range last {
		if last[i].Right < 1 || last[i].Stability < 1 || last[i].Total > first[i].Total {
			t.Errorf("example %d: %+v, at first %+v", i, last[i], first[i])
		}
	}
	e := edited(t, l, nil, edit.Requests(&edittest.Facts()[0])...)
	if a := respond(t, e.Memory, edittest.Facts()[1].Prompt); a.Model != nil {
		t.Errorf("a query about somebody else is answered by %+v", a)
	}
}

// Each text but the edits also stands there cut within its first half, out of its
// own edit's scope; the same texts are cut at the same places again.
func TestBeginningsAreOutOfScope(t *testing.T) {
	l := tiny(t, "gpt2", func(c *Config, _ *Parts) { c.Negatives = "own" })
	without := tiny(t, "gpt2", func(c *Config, _ *Parts) { c.Negatives, c.Beginnings = "own", false })
	example := tasks(t, l, 4)[:1]
	for _, x := range []*Learner{l, without, l} {
		if err := x.lay(example); err != nil {
			t.Fatal(err)
		}
	}
	s, plain := &l.step, &without.step
	n := len(plain.texts)
	if !slices.Equal(s.texts[:n], plain.texts) || len(s.texts) <= n {
		t.Fatalf("%d texts, without beginnings %d; they do not stand behind them", len(s.texts), n)
	}
	tok := l.Base.Tokenizer
	for _, p := range s.pairs[len(plain.pairs):] {
		cut := s.texts[p.text]
		whole := slices.IndexFunc(plain.pairs, func(q pair) bool {
			x := plain.texts[q.text]
			return q.edit == p.edit && strings.HasPrefix(x, cut) && 2*len(tok.Encode(cut)) <= len(text.Prompt(tok, x))
		})
		if p.in || whole < 0 {
			t.Errorf("%q, in scope %v, is no first half of a text that is compared with %q", cut, p.in, s.texts[p.edit])
		}
	}
	first := slices.Clone(s.texts)
	if err := l.lay(example); err != nil || !slices.Equal(first, l.step.texts) {
		t.Errorf("laid out again the texts are %q, want %q (%v)", l.step.texts, first, err)
	}
}
