package serac

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/encoder"
	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/text"
)

// goldenCase is golden.json.
type goldenCase struct {
	Edits, Loc [][2]string
	Outer      []string
	Batches    map[string]struct {
		Texts   []string
		Class   [][]int32 `json:"classifier_ids"`
		Asked   [][]int32 `json:"counterfactual_ids"`
		Mask    [][]int   `json:"counterfactual_mask"`
		IDs     [][]int32 `json:"input_ids"`
		IDsMask [][]int   `json:"attention_mask"`
		Labels  [][]int32
	}
	Cache    []string  `json:"classifier_cache"`
	CacheIDs [][]int32 `json:"classifier_cache_ids"`
	Contexts []string  `json:"counterfactual_contexts"`
}

// The tolerances are those of golden/serac/README.md.
const (
	near     = 1e-5 // of the largest magnitude: embeddings, similarities, logits
	nearMix  = 1e-4 // absolute
	nearGrad = 1e-4 // of the largest magnitude of the tensor; curves: of the value
	nearStep = 2e-3
)

func TestGoldenSERAC(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", "serac"), "*", "golden.json"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, path := range found {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c := &goldenRig{dir: dir, k: lmtest.Engine(t, 1), g: lmtest.Open(t, filepath.Join(dir, "golden.safetensors"), "")}
			if err := json.Unmarshal(raw, &c.goldenCase); err != nil {
				t.Fatal(err)
			}
			t.Run("texts", c.texts)
			t.Run("similarities", c.similarities)
			t.Run("mixture", c.mixtures)
			t.Run("soft", func(t *testing.T) { c.trained(t, "soft", false) })
			t.Run("supervised", func(t *testing.T) { c.trained(t, "supervised", true) })
		})
	}
}

type goldenRig struct {
	goldenCase
	dir string
	k   *kernel.Engine
	g   lmtest.Tensors
}

// learner is the case's, as the reference is set up.
func (c *goldenRig) learner(t *testing.T, change func(*Config)) *Learner {
	t.Helper()
	load := func(name string) *lm.Model {
		m, err := lm.Load(filepath.Join(c.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		return m
	}
	enc, err := encoder.Load(filepath.Join(c.dir, "classifier"), c.k)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Negatives, cfg.Supervised = "own", false
	cfg.Encoder = filepath.Join(c.dir, "classifier")
	change(&cfg)
	l, err := New(cfg, Parts{Base: load("base"), Counterfactual: load("counterfactual"), Encoder: enc, Engine: c.k, CEdit: 0.1, CLoc: 1, Reference: true})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// task is the case's edits as one example.
func (c *goldenRig) task(t *testing.T, l *Learner) meta.Task {
	t.Helper()
	out := meta.Task{ID: "golden"}
	for i, e := range c.Edits {
		inner, err := text.Answer(l.Base.Tokenizer, e[0], e[1], data.JoinSpace, 0)
		if err != nil {
			t.Fatal(err)
		}
		outer, err := text.Answer(l.Base.Tokenizer, c.Outer[i], e[1], data.JoinSpace, 0)
		if err != nil {
			t.Fatal(err)
		}
		out.Inner, out.Outer, out.OuterOf = append(out.Inner, inner), append(out.Outer, outer), append(out.OuterOf, i)
	}
	for i, e := range c.Loc {
		loc, err := text.Kept(l.Base.Tokenizer, e[0], e[1], data.JoinSpace, text.Options{Locality: "answer"})
		if err != nil {
			t.Fatal(err)
		}
		out.Loc, out.LocOf = append(out.Loc, loc), append(out.LocOf, i)
	}
	return out
}

// unpadded are the tokens where the mask is 1.
func unpadded(ids []int32, mask []int) []int32 {
	var out []int32
	for i, id := range ids {
		if mask[i] == 1 {
			out = append(out, id)
		}
	}
	return out
}

// texts compares what the two networks are given.
func (c *goldenRig) texts(t *testing.T) {
	l := c.learner(t, func(*Config) {})
	for i, e := range c.Edits {
		whole := e[0] + " " + e[1]
		if got := l.cacheText(e[0], whole); got != c.Cache[i] {
			t.Errorf("edit %d: the classifier sees %q, want %q", i, got, c.Cache[i])
		}
		if got := l.Encoder.Tokens(c.Cache[i]); !slices.Equal(got, c.CacheIDs[i]) {
			t.Errorf("edit %d: the classifier's tokens %v, want %v", i, got, c.CacheIDs[i])
		}
		if got := l.front(whole); got != c.Contexts[i] {
			t.Errorf("edit %d: in front stands %q, want %q", i, got, c.Contexts[i])
		}
	}
	task := c.task(t, l)
	if err := l.lay([]meta.Task{task}); err != nil {
		t.Fatal(err)
	}
	n := len(c.Edits)
	for name, at := range map[string]int{"inner": 0, "loc": n} {
		b := c.Batches[name]
		for i, want := range b.Class {
			if got := l.Encoder.Tokens(l.step.texts[n+at+i]); !slices.Equal(got, want) {
				t.Errorf("%s %d: the classifier's tokens %v, want %v", name, i, got, want)
			}
			// the text ends before its last token unless that is asked for
			q := l.step.asked[at+i]
			want := unpadded(b.Asked[i], b.Mask[i])
			if name == "inner" {
				want = want[:len(want)-1]
			}
			if !slices.Equal(q.IDs, want) {
				t.Errorf("%s %d: the counterfactual model's tokens %v, want %v", name, i, q.IDs, want)
			}
		}
	}
}

// compare fails where values differ from a golden array by more than tolerance,
// of its largest magnitude if relative.
func (c *goldenRig) compare(t *testing.T, name string, got []float64, tolerance float64, relative bool) {
	t.Helper()
	want := c.g.Floats(name)
	if len(want) != len(got) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	most, worst := 0.0, 0.0
	for i, w := range want {
		most = max(most, math.Abs(float64(w)))
		worst = max(worst, math.Abs(float64(w)-got[i]))
	}
	if relative {
		worst /= max(most, 1e-12)
	}
	if !(worst <= tolerance) {
		t.Errorf("%s: differs by %.3g, want at most %g", name, worst, tolerance)
	}
}

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// similarities compares the classifier's vectors, and how alike they are under
// every setting.
func (c *goldenRig) similarities(t *testing.T) {
	for suffix, change := range map[string]func(*Config){
		"": func(*Config) {}, "_cos": func(c *Config) { c.Cosine = true }, "_plain_distance": func(c *Config) { c.Square = false },
		"_two_heads": func(c *Config) { c.Heads = 2 }, "_bounded": func(c *Config) { c.Bounded = true },
	} {
		l := c.learner(t, change)
		edits, err := l.vectors(c.Cache)
		if err != nil {
			t.Fatal(err)
		}
		if suffix == "" {
			c.compare(t, "cache.classifier_embedding", wide(slices.Concat(edits...)), near, true)
		}
		for name, b := range c.Batches {
			v, err := l.vectors(b.Texts)
			if err != nil {
				t.Fatal(err)
			}
			var s, best []float64
			var picked []float64
			for _, q := range v {
				for _, e := range edits {
					s = append(s, l.measure.log(q, e))
				}
				i, at := l.nearest(q, edits)
				picked, best = append(picked, float64(i)), append(best, math.Exp(at))
			}
			c.compare(t, name+".log_similarity"+suffix, s, near, true)
			if suffix == "" {
				c.compare(t, name+".classifier_embedding", wide(slices.Concat(v...)), near, true)
				c.compare(t, name+".similarity", best, near, true)
				for i, want := range c.g.Ints(name + ".picked") {
					if picked[i] != float64(want) {
						t.Errorf("%s %d: edit %v is nearest, want %d", name, i, picked[i], want)
					}
				}
			}
		}
	}
}

// mixtures compares both models' logits, their mixture and the hard decision, at
// every place that is no padding.
func (c *goldenRig) mixtures(t *testing.T) {
	l := c.learner(t, func(*Config) {})
	vocab := l.Base.Config.Vocab
	for name, b := range c.Batches {
		key := name + ".mixture"
		if !c.g.Has(key) {
			continue
		}
		var want, base, cf, hard []float32
		want, base, cf = c.g.Floats(key), c.g.Floats(name+".base_logits"), c.g.Floats(name+".counterfactual_logits")
		if c.g.Has(name + ".hard") {
			hard = c.g.Floats(name + ".hard")
		}
		similarity := c.g.Floats(name + ".similarity")
		width := len(b.IDs[0])
		most := func(v []float32) (m float64) {
			for _, x := range v {
				m = max(m, math.Abs(float64(x)))
			}
			return m
		}
		mostBase, mostCF := most(base), most(cf)
		for i, ids := range b.IDs {
			whole := unpadded(ids, b.IDsMask[i])
			asked := unpadded(b.Asked[i], b.Mask[i])
			n := len(whole)
			f, err := l.logits(l.Base, []text.Text{lastRows(whole, n)})
			if err != nil {
				t.Fatal(err)
			}
			a, err := l.logits(l.Counterfactual, []text.Text{lastRows(asked, n)})
			if err != nil {
				t.Fatal(err)
			}
			p := float64(similarity[i])
			in := l.inScope(math.Log(p))
			for r := range n {
				at := ((i+1)*width - n + r) * vocab
				row := func(v []float32) []float32 { return v[r*vocab : (r+1)*vocab] }
				mix := make([]float32, vocab)
				edit.Mix(mix, row(f), row(a), p)
				for v := range vocab {
					for _, x := range []struct {
						what      string
						got, want float32
						most      float64
						tolerance float64
					}{
						{"base_logits", row(f)[v], base[at+v], mostBase, near}, {"counterfactual_logits", row(a)[v], cf[at+v], mostCF, near},
						{"mixture", float32(math.Log(math.Exp(float64(mix[v])) + floor)), want[at+v], 1, nearMix},
					} {
						if !(math.Abs(float64(x.got-x.want)) <= x.tolerance*x.most) {
							t.Fatalf("%s.%s of text %d, row %d, token %d: %v, want %v", name, x.what, i, r, v, x.got, x.want)
						}
					}
					if hard == nil {
						continue
					}
					got, m := row(f)[v], mostBase
					if in {
						got, m = row(a)[v], mostCF
					}
					if !(math.Abs(float64(got-hard[at+v])) <= near*m) {
						t.Fatalf("%s.hard of text %d, row %d, token %d: %v, want %v", name, i, r, v, got, hard[at+v])
					}
				}
			}
		}
	}
}

// trained follows the reference's first gradient and four steps of Adam.
func (c *goldenRig) trained(t *testing.T, name string, supervised bool) {
	l := c.learner(t, func(x *Config) { x.Supervised = supervised })
	task := c.task(t, l)
	grads := make([]float32, len(l.Values()))
	m, v := make([]float32, len(grads)), make([]float32, len(grads))
	curve := c.g.Floats(name + ".curve")
	for step := range len(curve) / 3 {
		out, err := l.Step([]meta.Task{task}, grads, false)
		if err != nil {
			t.Fatal(err)
		}
		if step == 0 {
			// some gradients are zero but for rounding: those of biases that softmax or
			// a distance does not see
			largest := 0.0
			for _, g := range grads {
				largest = max(largest, math.Abs(float64(g)))
			}
			at := 0
			for _, p := range l.Params() {
				lmtest.Near(t, p.Name, grads[at:at+p.Len()], c.g.Floats(name+".gradient."+p.Name), nearGrad, 1e-6*largest)
				at += p.Len()
			}
			if supervised {
				var s []float64
				for _, x := range l.g.machine.Value(l.g.s).Data[:len(l.step.pairs)] {
					s = append(s, float64(x))
				}
				c.compare(t, name+".scores", s, near, true)
			}
			eager, err := l.Score([]meta.Task{task})
			if err != nil || math.Abs(eager[0].Total-out[0].Total) > 1e-5 || eager[0].Right != out[0].Right || eager[0].Stability != out[0].Stability {
				t.Errorf("without a graph the step scores %+v, with it %+v (%v)", eager, out, err)
			}
		}
		norm := math.Sqrt(c.k.SumSquares(grads))
		for i, got := range []float64{out[0].Edit, out[0].Loc, norm} {
			if want := float64(curve[3*step+i]); !(math.Abs(got-want) <= nearGrad*max(1, math.Abs(want))) {
				t.Errorf("step %d, column %d of the curve: %v, want %v", step, i, got, want)
			}
		}
		scale := min(1, 100/(norm+1e-6))
		c.k.AdamStep(l.Values(), grads, m, v, kernel.Adam{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, step+1, float32(scale))
	}
	compared := 0
	for _, p := range l.Params() {
		key := name + ".after." + p.Name
		if !c.g.Has(key) {
			continue
		}
		compared++
		values, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		c.compare(t, key, wide(values), nearStep, false)
	}
	if compared == 0 {
		t.Errorf("no weight was compared after the steps")
	}
}

// lastRows is a text that is asked at its last n rows.
func lastRows(ids []int32, n int) text.Text {
	return text.Text{IDs: ids, Labels: append(slices.Repeat([]int32{-1}, len(ids)-n), make([]int32, n)...)}
}
