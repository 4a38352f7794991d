package gated

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
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// sites is an editor that changes layers by fixed factors of rank two.
type sites []string

func (sites) Name() string { return "sites" }
func (s sites) Apply(_ context.Context, m *lm.Model, r []edit.Request) (*edit.Edited, error) {
	found, err := m.FindSites(s)
	if err != nil {
		return nil, err
	}
	out := &edit.Edited{Editor: "sites", Requests: r}
	for _, at := range found {
		u, d := make([]float32, 2*at.Linear.In), make([]float32, 2*at.Linear.Out)
		for i := range u {
			u[i] = float32(math.Sin(float64(i + len(r[0].Prompt) + len(r[0].Target))))
		}
		for i := range d {
			d[i] = float32(i%3) - 1
		}
		out.Changes = append(out.Changes, edit.Change{Weight: at.Name, Delta: &nn.Delta{U: kernel.Mat(u, 2, at.Linear.In), D: kernel.Mat(d, 2, at.Linear.Out), Scale: 0.5}})
	}
	return out, nil
}

func settings() Settings {
	s := DefaultSettings()
	s.Contexts, s.Margin = 1, 0.99 // fresh weights make all rows alike
	return s
}

// two are layers in an order that is not that of the forward pass.
var two = sites{"mlp.down@2", "mlp.down@1"}

func editor(t *testing.T, inner edit.Editor, s Settings) *Editor {
	t.Helper()
	ed, err := New(inner, s, lmtest.Engine(t, 1), edittest.Facts())
	if err != nil {
		t.Fatal(err)
	}
	return ed
}

func requests() []edit.Request {
	r := edittest.Requests()
	again := r[0]
	again.Prompt = "Seldom " + again.Prompt
	out := append(r[:2:2], again)
	for i := range out {
		out[i].ID = string(rune('a' + i))
	}
	return out
}

// logits are those of a whole text, of which the first rows are its prompt.
func logits(t *testing.T, m *lm.Model, a edit.Adapter, ids []int32, prompt int) []float32 {
	t.Helper()
	o := eager.New(lmtest.Engine(t, 1))
	if a != nil {
		edit.Intercept(o, a, []edit.Span{{Range: nn.Range{Lo: 0, Hi: len(ids)}, Prompt: prompt}})
	}
	x := m.Logits(o, lm.Forward(o, m, &nn.IDs{V: ids}, nn.Pack(len(ids)), nil))
	if err := o.Err(); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(x.Data)
}

// TestATextInScopeIsThatOfTheChangedWeights, and another one that of the base model,
// to the byte.
func TestATextInScopeIsThatOfTheChangedWeights(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		m := edittest.TinyModel(t, arch)
		k := lmtest.Engine(t, 1)
		r := requests()[:1]
		e, err := editor(t, two, settings()).Apply(t.Context(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		prompt := m.Tokenizer.EncodePrompt(r[0].Prompt)
		ids := append(slices.Clone(prompt), prompt[0], prompt[1])
		made, err := two.Apply(t.Context(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		undo, err := made.Install(m, k)
		if err != nil {
			t.Fatal(err)
		}
		want := logits(t, m, nil, ids, 0)
		undo()
		base := logits(t, m, nil, ids, 0)
		moved := 0.0
		for i, got := range logits(t, m, e.AdapterOf(), ids, len(prompt)) {
			if d := math.Abs(float64(got - want[i])); !(d < 1e-4) {
				t.Fatalf("%s: logit %d is %v, of changed weights %v", arch, i, got, want[i])
			}
			moved = max(moved, math.Abs(float64(got-base[i])))
		}
		if moved < 0.1 {
			t.Errorf("%s: the edit moves no logit by more than %v", arch, moved)
		}
		other := []int32{prompt[1], prompt[0]}
		if got := logits(t, m, e.AdapterOf(), other, 2); !slices.Equal(got, logits(t, m, nil, other, 0)) {
			t.Errorf("%s: a text out of scope has other logits", arch)
		}
	}
}

// TestRowsOfTheSubjectAlone: with rows subject, those before and behind the subject are
// what the layers give without the edit.
func TestRowsOfTheSubjectAlone(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		m := edittest.TinyModel(t, arch)
		r := requests()[:1]
		s := settings()
		s.Rows = SubjectRows
		e, err := editor(t, two, s).Apply(t.Context(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		made, err := two.Apply(t.Context(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		subject, err := text.Subject(m.Tokenizer, r[0].Prompt, r[0].Subject, text.First)
		if err != nil {
			t.Fatal(err)
		}
		prompt := m.Tokenizer.EncodePrompt(r[0].Prompt)
		if subject.Hi-subject.Lo == len(prompt) {
			t.Fatalf("%q is nothing but its subject", r[0].Prompt)
		}
		o := eager.New(lmtest.Engine(t, 1))
		o.OnLinear = func(l *nn.Linear, x, y kernel.Matrix) {
			for _, c := range made.Changes {
				if c.Weight != l.W.Name {
					continue
				}
				for i := subject.Lo; i < subject.Hi; i++ {
					for k := range c.Delta.U.Rows {
						by := c.Delta.Scale * float32(kernel.Dot64(c.Delta.U.Slice(k, k+1).Data, x.Data[i*x.Stride:i*x.Stride+x.Cols]))
						for j, v := range c.Delta.D.Slice(k, k+1).Data {
							y.Data[i*y.Stride+j] += by * v
						}
					}
				}
			}
		}
		ids := append(slices.Clone(prompt), prompt[0], prompt[1])
		want := m.Logits(o, lm.Forward(o, m, &nn.IDs{V: ids}, nn.Pack(len(ids)), nil))
		if err := o.Err(); err != nil {
			t.Fatal(err)
		}
		got, base := logits(t, m, e.AdapterOf(), ids, len(prompt)), logits(t, m, nil, ids, 0)
		moved := 0.0
		for i, v := range got {
			if d := math.Abs(float64(v - want.Data[i])); !(d < 1e-4) {
				t.Fatalf("%s: logit %d is %v, want %v", arch, i, v, want.Data[i])
			}
			moved = max(moved, math.Abs(float64(v-base[i])))
		}
		if moved < 0.01 {
			t.Errorf("%s: the edit moves no logit by more than %v", arch, moved)
		}
		if before := subject.Lo * m.Config.Vocab; !slices.Equal(got[:before], base[:before]) {
			t.Errorf("%s: rows before the subject have other logits", arch)
		}
	}
}

// asked is sites that keeps the prompts that it was asked.
type asked struct {
	sites
	prompts *[]string
}

func (a asked) Apply(ctx context.Context, m *lm.Model, r []edit.Request) (*edit.Edited, error) {
	for _, q := range r {
		*a.prompts = append(*a.prompts, q.Prompt)
	}
	return a.sites.Apply(ctx, m, r)
}

// TestAnEditIsMadeBehindSentences: with behind, of the prompt and of the prompt behind
// each sentence that has a key, all at once.
func TestAnEditIsMadeBehindSentences(t *testing.T) {
	m := edittest.TinyModel(t, "llama")
	r := requests()[:1]
	for behind, want := range map[bool]int{false: 1, true: 2} {
		var prompts []string
		s := settings()
		s.Learned.Behind = behind
		store := apply(t, editor(t, asked{two, &prompts}, s), m, r...)
		if len(prompts) != want || prompts[0] != r[0].Prompt {
			t.Fatalf("behind %v: made of %q, want %d prompts", behind, prompts, want)
		}
		for _, p := range prompts[1:] {
			if !strings.HasSuffix(p, ". "+r[0].Prompt) {
				t.Errorf("made of %q too", p)
			}
		}
		if e := store.Entries[0]; len(e.Keys) != 2 || e.Prompt != r[0].Prompt {
			t.Errorf("behind %v: the store has %d keys of %q", behind, len(e.Keys), e.Prompt)
		}
	}
}

// TestATextThatIsContinuedGoesOnAsItBegan: token by token as in one pass.
func TestATextThatIsContinuedGoesOnAsItBegan(t *testing.T) {
	for _, rows := range []string{WholeText, SubjectRows} {
		continued(t, rows)
	}
}

func continued(t *testing.T, rows string) {
	t.Helper()
	m := edittest.TinyModel(t, "llama")
	r := requests()[:1]
	s := settings()
	s.Rows = rows
	e, err := editor(t, two, s).Apply(t.Context(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	prompt := m.Tokenizer.EncodePrompt(r[0].Prompt)
	say := func(a edit.Adapter) []int32 {
		o := eager.New(lmtest.Engine(t, 1))
		if a != nil {
			edit.InterceptText(o, a)
		}
		out, err := m.Generate(o, prompt, lm.GenerateOptions{Tokens: 5})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	got := say(e.AdapterOf())
	for i := range got {
		ids := append(slices.Clone(prompt), got[:i]...)
		l := logits(t, m, e.AdapterOf(), ids, len(prompt))
		last := l[len(l)-m.Config.Vocab:]
		if best := slices.Index(last, slices.Max(last)); int32(best) != got[i] {
			t.Errorf("token %d is %d, in one pass %d", i, got[i], best)
		}
	}
}

func apply(t *testing.T, ed *Editor, m *lm.Model, list ...edit.Request) *Store {
	t.Helper()
	var last *edit.Edited
	var err error
	for _, r := range list {
		if last, err = ed.Continue(t.Context(), m, last, []edit.Request{r}); err != nil {
			t.Fatal(err)
		}
	}
	return last.Memory.(*Store)
}

func TestForgettingGivesTheStoreThatNeverHadTheEdit(t *testing.T) {
	m, ed, r := edittest.TinyModel(t, "llama"), editor(t, two, settings()), requests()
	whole := apply(t, ed, m, r...)
	for i := range r {
		less, err := whole.Forget(r[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		if want := apply(t, ed, m, slices.Delete(slices.Clone(r), i, i+1)...); !reflect.DeepEqual(less, edit.Memory(want)) {
			t.Errorf("without edit %d the store is another", i)
		}
	}
	if _, err := whole.Forget("x"); err == nil {
		t.Error("an edit that is not there was forgotten")
	}
	second := r[0]
	second.Target = r[1].Target
	if n := len(apply(t, ed, m, r[0], second).Entries); n != 1 {
		t.Errorf("%d edits of one prompt", n)
	}
}

func TestAStoreIsReadAsItWas(t *testing.T) {
	s := settings()
	s.Rows = SubjectRows
	m, ed := edittest.TinyModel(t, "llama"), editor(t, two, s)
	whole := apply(t, ed, m, requests()...)
	packed := func() edit.Packed {
		p, err := whole.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	again, err := ed.Open(t.Context(), m, packed())
	if err != nil {
		t.Fatal(err)
	}
	p, err := again.Pack()
	if err != nil || !reflect.DeepEqual(p, packed()) {
		t.Errorf("read and packed again it is another (%v)", err)
	}
	prompt := m.Tokenizer.EncodePrompt(requests()[0].Prompt)
	if got := logits(t, m, again.(*Store), prompt, len(prompt)); !slices.Equal(got, logits(t, m, whole, prompt, len(prompt))) {
		t.Error("read again it computes otherwise")
	}
	if _, err := ed.Open(t.Context(), edittest.TinyModel(t, "gpt2"), packed()); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("another model: %v", err)
	}
	for i, tensor := range packed().Tensors {
		p := packed()
		p.Tensors[i].Shape[0]--
		if _, err := ed.Open(t.Context(), m, p); err == nil {
			t.Errorf("a store whose %s is cut was opened", tensor.Name)
		}
		p = packed()
		p.Tensors[i].Shape[0]--
		p.Tensors[i].Values = p.Tensors[i].Values[:len(p.Tensors[i].Values)-p.Tensors[i].Shape[1]]
		if _, err := ed.Open(t.Context(), m, p); err == nil {
			t.Errorf("a store with a row of %s less was opened", tensor.Name)
		}
	}
	for _, change := range [][2]string{{`"ranks":[2,2]`, `"ranks":[2]`}, {`"ranks":[2,2]`, `"ranks":[-2,6]`}, {`"gate":"`, `"gate":"x`}, {`"thresholds":[`, `"thresholds":[7,`},
		{`"lengths":[`, `"lengths":[0,`}} {
		p := packed()
		p.Info = []byte(strings.Replace(string(p.Info), change[0], change[1], 1))
		if _, err := ed.Open(t.Context(), m, p); err == nil {
			t.Errorf("a store with %s was opened", change[1])
		}
	}
}

// TestTheLikeliestStrengthIsKept, of those that the settings name.
func TestTheLikeliestStrengthIsKept(t *testing.T) {
	m, s, r := edittest.TinyModel(t, "gpt2"), settings(), requests()[0]
	made, err := two.Apply(t.Context(), m, []edit.Request{r})
	if err != nil {
		t.Fatal(err)
	}
	k := lmtest.Engine(t, 1)
	s.Contexts = 0
	best, least := 0.0, math.Inf(1)
	tried := []float64{-2, -1, 0.5, 1, 2} // the fixed change may lead away from the target
	for _, by := range tried {
		var changed edit.Edited
		for _, c := range made.Changes {
			d := *c.Delta
			d.Scale *= float32(by)
			changed.Changes = append(changed.Changes, edit.Change{Weight: c.Weight, Delta: &d})
		}
		undo, err := changed.Install(m, k)
		if err != nil {
			t.Fatal(err)
		}
		nll := edittest.NLL(t, m, k, r.Prompt, r.Target)
		undo()
		ed := editor(t, two, s)
		at, err := ed.trial(m, "transformer.h.1.mlp.c_proj.weight", r)
		if err != nil {
			t.Fatal(err)
		}
		e := apply(t, ed, m, r)
		got, err := at.nll(e.Layers, e.Entries[0].Changes, by)
		if err != nil || math.Abs(got-nll) > 1e-4 {
			t.Errorf("strength %v: −log p %v, of changed weights %v (%v)", by, got, nll, err)
		}
		if by > 0 && nll < least {
			best, least = by, nll
		}
	}
	s.Strengths = tried[2:]
	e := apply(t, editor(t, two, s), m, r)
	if got := e.Entries[0].Changes[0].Scale / made.Changes[0].Delta.Scale; math.Abs(float64(got)-best) > 1e-6 {
		t.Errorf("strength %v, the likeliest is %v", got, best)
	}
}

func TestWhatCannotBeAStoreIsRefused(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	for want, change := range map[string]func(*Settings){
		"answers for everything": func(s *Settings) { s.Margin = 0 },
		"answers for nothing":    func(s *Settings) { s.Margin = 1 },
		"token":                  func(s *Settings) { s.Token = "first" },
		"contexts":               func(s *Settings) { s.Contexts = -1 },
		"there is none":          func(s *Settings) { s.Strengths = nil },
		"strengths":              func(s *Settings) { s.Strengths = []float64{1, math.Inf(1)} },
		"negatives":              func(s *Settings) { s.Negatives = 0 },
		"capacity":               func(s *Settings) { s.Capacity = -1 },
		"looks: -1 is negative":  func(s *Settings) { s.Learned.Looks = -1 },
		"does not look at its":   func(s *Settings) { s.Learned.Looks = 1 },
		"rows":                   func(s *Settings) { s.Rows = "all" },
		"keys are of no subject": func(s *Settings) { s.Rows, s.Token = SubjectRows, Last },
	} {
		s := settings()
		change(&s)
		if _, err := New(two, s, lmtest.Engine(t, 1), edittest.Facts()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for want, c := range map[string]struct {
		inner edit.Editor
		gate  string
	}{
		"comes behind":            {sites{"mlp.down@1"}, "mlp.up@2"},
		"no such linear layer":    {sites{"mlp.down@1"}, "mlp.sideways@0"},
		"several changes of one":  {twice{}, ""},
		"changes no weight":       {idle{}, ""},
		"edit the same layers":    {byPrompt{}, ""},
		"begin a new sequence":    {two, ""},
		"it holds 1 edits, as ma": {two, ""},
	} {
		s := settings()
		s.Gate = c.gate
		var last *edit.Edited
		switch want {
		case "begin a new sequence":
			last = &edit.Edited{Editor: "x"}
		case "it holds 1 edits, as ma":
			s.Capacity = 1
		}
		if _, err := editor(t, c.inner, s).Continue(t.Context(), m, last, requests()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestOtherRowsAreAnotherSequence: edits of a store change one kind of rows, and need a
// subject where those are its own.
func TestOtherRowsAreAnotherSequence(t *testing.T) {
	m, s, r := edittest.TinyModel(t, "gpt2"), settings(), requests()
	last, err := editor(t, two, s).Apply(t.Context(), m, r[:1])
	if err != nil {
		t.Fatal(err)
	}
	s.Rows = SubjectRows
	ed := editor(t, two, s)
	if _, err := ed.Continue(t.Context(), m, last, r[1:]); err == nil || !strings.Contains(err.Error(), "set rows as it was") {
		t.Errorf("other rows: %v", err)
	}
	r[0].Subject = ""
	if _, err := ed.Apply(t.Context(), m, r[:1]); err == nil || !strings.Contains(err.Error(), "names no subject") {
		t.Errorf("no subject: %v", err)
	}
}

// subjects is sites that says whether it changes the rows of subjects alone.
type subjects struct {
	sites
	alone bool
}

func (s subjects) OfSubject() bool { return s.alone }

// TestOwnRowsAreThoseOfTheEditorInside: of the subject, unless it says that it changes
// others, or keys are of no subject.
func TestOwnRowsAreThoseOfTheEditorInside(t *testing.T) {
	for _, c := range []struct {
		inner edit.Editor
		token string
		want  string
	}{
		{two, Subject, SubjectRows},
		{two, Last, WholeText},
		{subjects{two, true}, Subject, SubjectRows},
		{subjects{two, false}, Subject, WholeText},
	} {
		s := settings()
		s.Rows, s.Token = OwnRows, c.token
		if got := editor(t, c.inner, s).cfg.Rows; got != c.want {
			t.Errorf("%v, token %s: rows %s, want %s", c.inner, c.token, got, c.want)
		}
	}
	s := settings()
	s.Rows = SubjectRows
	if _, err := New(subjects{two, false}, s, lmtest.Engine(t, 1), edittest.Facts()); err == nil || !strings.Contains(err.Error(), "use rows own") {
		t.Errorf("rows that the editor does not change: %v", err)
	}
}

// twice changes one layer two times.
type twice struct{ sites }

func (twice) Apply(ctx context.Context, m *lm.Model, r []edit.Request) (*edit.Edited, error) {
	e, err := sites{"mlp.down@1"}.Apply(ctx, m, r)
	e.Changes = append(e.Changes, e.Changes...)
	return e, err
}

// idle changes nothing.
type idle struct{}

func (idle) Name() string { return "idle" }
func (idle) Apply(_ context.Context, _ *lm.Model, r []edit.Request) (*edit.Edited, error) {
	return &edit.Edited{Editor: "idle", Requests: r}, nil
}

// byPrompt changes a layer that depends on the prompt.
type byPrompt struct{ sites }

func (byPrompt) Apply(ctx context.Context, m *lm.Model, r []edit.Request) (*edit.Edited, error) {
	if strings.HasPrefix(r[0].Prompt, "Seldom") {
		return sites{"mlp.down@2"}.Apply(ctx, m, r)
	}
	return sites{"mlp.down@1"}.Apply(ctx, m, r)
}

func TestAStoreOfAnotherOrderIsRefused(t *testing.T) {
	m, ed, r := edittest.TinyModel(t, "gpt2"), editor(t, two, settings()), requests()
	whole := apply(t, ed, m, r...)
	if err := whole.Follows(apply(t, ed, m, r[:2]...)); err != nil {
		t.Error(err)
	}
	for _, before := range []edit.Memory{apply(t, ed, m, r[1], r[0]), apply(t, ed, m, r[2])} {
		if err := whole.Follows(before); err == nil || !strings.Contains(err.Error(), "does not go on from") {
			t.Errorf("error %v", err)
		}
	}
}
