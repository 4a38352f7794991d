package grace

import (
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/nn/eager"
)

func tiny() Config {
	c := Default()
	c.Layer, c.Steps, c.LR = "mlp.down@1", 20, 0.5
	return c
}

// requests are so many edits of different prompts.
func requests(n int) []edit.Request {
	var out []edit.Request
	base := edittest.Requests()
	for i := range n {
		r := base[i%len(base)]
		r.ID = string(rune('a' + i))
		r.Prompt = strings.Repeat("Often ", i/len(base)) + r.Prompt
		out = append(out, r)
	}
	return out
}

func TestOnlyPromptsInsideARadiusAreAnswered(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		m, k := edittest.TinyModel(t, arch), lmtest.Engine(t, 2)
		ed, err := New(tiny(), k, edittest.Facts())
		if err != nil {
			t.Fatal(err)
		}
		r := requests(1)
		e, err := ed.Apply(context.Background(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		book := e.Memory.(*Codebook)
		other := "the"
		for _, prompt := range []string{r[0].Prompt, other} {
			ids := m.Tokenizer.EncodeSpecial(prompt)
			same := slices.Equal(lastLogits(t, m, k, book, ids), lastLogits(t, m, k, nil, ids))
			if same != (prompt == other) {
				t.Errorf("%s: %q: the answer is the unedited model's: %v", arch, prompt, same)
			}
		}
	}
}

// TestForgettingGivesTheCodebookWithoutTheEdit: to the bit, also from the middle.
func TestForgettingGivesTheCodebookWithoutTheEdit(t *testing.T) {
	m, k := edittest.TinyModel(t, "gpt2"), lmtest.Engine(t, 1)
	ed, err := New(tiny(), k, edittest.Facts())
	if err != nil {
		t.Fatal(err)
	}
	all := requests(4)
	apply := func(list []edit.Request) *Codebook {
		var last *edit.Edited
		for _, r := range list {
			if last, err = ed.Continue(context.Background(), m, last, []edit.Request{r}); err != nil {
				t.Fatal(err)
			}
		}
		return last.Memory.(*Codebook)
	}
	whole := apply(all)
	last, err := whole.Forget(all[3].ID)
	if err != nil {
		t.Fatal(err)
	}
	before := apply(all[:3])
	if !reflect.DeepEqual(last.(*Codebook).pairs, before.pairs) {
		t.Error("without the last edit the codebook is not that of the others")
	}
	empty := whole
	for _, r := range all {
		less, err := empty.Forget(r.ID)
		if err != nil {
			t.Fatal(err)
		}
		empty = less.(*Codebook)
	}
	ids := m.Tokenizer.EncodeSpecial(all[0].Prompt)
	if empty.Len() != 0 || !slices.Equal(lastLogits(t, m, k, empty, ids), lastLogits(t, m, k, nil, ids)) {
		t.Error("without edits the model is not the unedited one")
	}
	if _, err := whole.Forget("nobody"); err == nil {
		t.Error("an edit that is not there was forgotten")
	}
}

func TestAPromptThatIsEditedAgainGetsTheNewAnswer(t *testing.T) {
	m, k := edittest.TinyModel(t, "llama"), lmtest.Engine(t, 1)
	r := requests(2)
	r[1].Prompt = r[0].Prompt
	for compat, want := range map[string]Decision{CompatNone: Replace, CompatReference: Split} {
		c := tiny()
		c.Compat = compat
		ed, err := New(c, k, edittest.Facts())
		if err != nil {
			t.Fatal(err)
		}
		e, err := ed.Apply(context.Background(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		decision := ""
		for _, f := range e.Report {
			if f.Name == "decision[1]" {
				decision = f.Value.(string)
			}
		}
		if decision != string(want) {
			t.Errorf("compat %q: %s, want %s", compat, decision, want)
		}
		b := e.Memory.(*Codebook)
		if hit := b.Find(b.Entries[0].Query); (hit >= 0) != (compat == CompatNone) {
			t.Errorf("compat %q: the prompt finds key %d", compat, hit)
		}
	}
}

// TestRadiiOfDifferentAnswersDoNotMeet: whatever is edited, no prompt lies inside
// two radii of different answers, and every edit finds its own answer.
func TestRadiiOfDifferentAnswersDoNotMeet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		b := &Codebook{Rules: rules{Eps: 1, Expand: "coverage", Replacement: "replace_last"}}
		for i := range 30 {
			q := []float32{float32(rng.NormFloat64()), float32(rng.NormFloat64())}
			e := Entry{ID: "x", Query: q, Labels: []int32{int32(rng.IntN(3))}, Tokens: 3, Value: []float32{float32(i)}}
			b = b.with(e)
			if j := b.Find(q); j < 0 || !slices.Equal(b.pairs[j].labels, e.Labels) {
				t.Fatalf("edit %d does not find its answer (key %d)", i, j)
			}
		}
		for i, p := range b.pairs {
			if !(p.eps > 0) {
				t.Fatalf("key %d has the radius %v", i, p.eps)
			}
			for _, o := range b.pairs[:i] {
				if !slices.Equal(o.labels, p.labels) && distance(p.key, o.key) < (p.eps+o.eps)*(1-1e-6) {
					t.Fatalf("keys %v and %v, %v apart, have radii %v and %v", p.key, o.key, distance(p.key, o.key), p.eps, o.eps)
				}
			}
		}
	}
}

func TestACodebookGoesOnFromAFile(t *testing.T) {
	m, k := edittest.TinyModel(t, "gpt2"), lmtest.Engine(t, 1)
	ed, err := New(tiny(), k, edittest.Facts())
	if err != nil {
		t.Fatal(err)
	}
	r := requests(3)
	first, err := ed.Apply(context.Background(), m, r[:2])
	if err != nil {
		t.Fatal(err)
	}
	p, err := first.Memory.Pack()
	if err != nil {
		t.Fatal(err)
	}
	again := *first
	if again.Memory, err = ed.Open(context.Background(), m, p); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first.Memory, again.Memory) {
		t.Error("the codebook was read differently")
	}
	a, err := ed.Continue(context.Background(), m, first, r[2:])
	if err != nil {
		t.Fatal(err)
	}
	b, err := ed.Continue(context.Background(), m, &again, r[2:])
	if err != nil || !reflect.DeepEqual(a.Memory, b.Memory) {
		t.Errorf("it goes on differently (%v)", err)
	}

	if _, err := ed.Open(context.Background(), edittest.TinyModel(t, "llama"), p); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("another model: %v", err)
	}
	c := tiny()
	c.Layer = "mlp.down@0"
	other, err := New(c, k, edittest.Facts())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Continue(context.Background(), m, first, r[2:]); err == nil || !strings.Contains(err.Error(), "layer") {
		t.Errorf("another layer: %v", err)
	}
	for _, damage := range []func(*edit.Packed){
		func(p *edit.Packed) { p.Kind = "keys" },
		func(p *edit.Packed) { p.Info = []byte("{") },
		func(p *edit.Packed) { p.Tensors = p.Tensors[:1] },
		func(p *edit.Packed) { p.Tensors[0].Shape = []int{1, 2} },
	} {
		bad := p
		bad.Tensors = slices.Clone(p.Tensors)
		damage(&bad)
		if _, err := ed.Open(context.Background(), m, bad); err == nil {
			t.Error("a damaged codebook was opened")
		}
	}
}

// TestGeneratingAgreesWithReading: token by token the adapter does what it does
// in one pass over prompt and answer.
func TestGeneratingAgreesWithReading(t *testing.T) {
	for _, replacement := range []string{"replace_last", "replace_all", "replace_prompt"} {
		m, k := edittest.TinyModel(t, "llama"), lmtest.Engine(t, 1)
		c := tiny()
		c.Replacement, c.Layer = replacement, "mlp.down@2" // the last block, where only some rows go on
		ed, err := New(c, k, edittest.Facts())
		if err != nil {
			t.Fatal(err)
		}
		r := requests(1)
		e, err := ed.Apply(context.Background(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		b := e.Memory.(*Codebook)
		ids := m.Tokenizer.EncodeSpecial(r[0].Prompt)
		o := eager.New(k)
		edit.InterceptText(o, b)
		got, err := m.Generate(o, ids, generateOptions(3))
		if err != nil {
			t.Fatal(err)
		}
		text, prompt := slices.Clone(ids), len(ids)
		for i, id := range got {
			if best := argmax(lastOf(t, m, k, b, text, prompt)); best != id {
				t.Errorf("%s: token %d is %d, read in one pass %d", replacement, i, id, best)
			}
			text = append(text, id)
		}
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	k := lmtest.Engine(t, 1)
	for want, set := range map[string]func(*Config){
		"eps_expand":  func(c *Config) { c.Expand = "x" },
		"replacement": func(c *Config) { c.Replacement = "x" },
		"val_init":    func(c *Config) { c.Init = "x" },
		"compat":      func(c *Config) { c.Compat = "x" },
		"edit_lr":     func(c *Config) { c.LR = 0 },
		"n_iter":      func(c *Config) { c.Steps = 0 },
		"eps":         func(c *Config) { c.Eps = -1 },
		"eps_share":   func(c *Config) { c.EpsShare = 0 },
		"layer":       func(c *Config) { c.Layer = "mlp.down" },

		"eps: 1e+09 keeps everything":       func(c *Config) { c.Eps = 1e9 },
		"eps_share: 1e+09 keeps everything": func(c *Config) { c.EpsShare = 1e9 },
	} {
		c := tiny()
		set(&c)
		ed, err := New(c, k, edittest.Facts())
		if err == nil {
			_, err = ed.Apply(context.Background(), edittest.TinyModel(t, "gpt2"), requests(1))
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	if _, err := New(tiny(), k, nil); err == nil || !strings.Contains(err.Error(), "set eps") {
		t.Errorf("without prompts to measure: %v", err)
	}
}

func TestAFullCodebookIsRefused(t *testing.T) {
	c := tiny()
	c.Capacity = 2
	m := edittest.TinyModel(t, "gpt2")
	ed, err := New(c, lmtest.Engine(t, 1), edittest.Facts())
	if err != nil {
		t.Fatal(err)
	}
	r := requests(3)
	two, err := ed.Apply(t.Context(), m, r[:2])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ed.Continue(t.Context(), m, two, r[2:]); err == nil || !strings.Contains(err.Error(), "the codebook is full: it holds 2 edits") {
		t.Errorf("error %v", err)
	}
}

func TestACodebookOfAnotherOrderIsRefused(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	ed, err := New(tiny(), lmtest.Engine(t, 1), edittest.Facts())
	if err != nil {
		t.Fatal(err)
	}
	r := requests(2)
	both, err := ed.Apply(t.Context(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ed.Apply(t.Context(), m, r[1:])
	if err != nil {
		t.Fatal(err)
	}
	if err := edit.Follows(second, both); err == nil || !strings.Contains(err.Error(), "does not go on from") {
		t.Errorf("error %v", err)
	}
}
