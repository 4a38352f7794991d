package grace

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// goldenCase is golden.json.
type goldenCase struct {
	Edits []struct {
		Prompt, Target []int32
	}
	Queries [][]int32
	Layer   string
	Made    struct{ Reference string } `json:"made_with"`
}

type goldenRun struct {
	Settings struct {
		LR          float64 `json:"edit_lr"`
		Steps       int     `json:"n_iter"`
		Eps         float64
		Expand      string `json:"eps_expand"`
		Replacement string
		Init        string `json:"val_init"`
	}
	Edits []struct {
		Decision string
		Nearest  int
		Distance *float64
		Trained  int  `json:"trained_key"`
		Within   bool `json:"trained_is_within"`
		Keys     int
	}
	Chosen []int
	Within []bool
}

// TestGoldenRuns follows golden.json's edits decision by decision, with cold
// values as the reference drew them, and asks its queries.
func TestGoldenRuns(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", "grace"), "*", "golden.json"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, path := range found {
		dir := filepath.Dir(path)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var c goldenCase
		var parts map[string]json.RawMessage
		if err := errorsJoin(json.Unmarshal(raw, &c), json.Unmarshal(raw, &parts)); err != nil {
			t.Fatal(err)
		}
		for name, part := range parts {
			var run goldenRun
			if json.Unmarshal(part, &run) == nil && len(run.Edits) > 0 && run.Settings.Steps > 0 {
				t.Run(filepath.Base(dir)+" "+name, func(t *testing.T) { follow(t, dir, name, c, run) })
			}
		}
	}
}

func errorsJoin(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func follow(t *testing.T, dir, name string, c goldenCase, run goldenRun) {
	m, err := lm.Load(filepath.Join(dir, "model"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	k := lmtest.Engine(t, 0)
	g := lmtest.Open(t, filepath.Join(dir, "golden.safetensors"), "")
	set := run.Settings
	cfg := Config{LR: set.LR, Steps: set.Steps, Eps: set.Eps, EpsShare: 1, Expand: set.Expand, Replacement: set.Replacement, Init: set.Init, Compat: CompatReference}
	if c.Made.Reference == "EasyEdit" {
		cfg.Compat = CompatEasyEdit
	}
	cfg.Layer = strings.NewReplacer("[", ".", "]", "").Replace(c.Layer)
	ed, err := New(cfg, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	site, err := cfg.Site(m)
	if err != nil {
		t.Fatal(err)
	}
	book, err := ed.begin(m, site, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, out := site.Linear.In, site.Linear.Out
	firsts := g.Floats("first_queries")
	for i, e := range c.Edits {
		want := run.Edits[i]
		key := func(what string) string { return fmt.Sprintf("%s.edit%d.%s", name, i, what) }
		labels := slices.Repeat([]int32{-1}, len(e.Prompt)+len(e.Target)-1)
		copy(labels[len(e.Prompt)-1:], e.Target)
		a, err := read(m, k, site, text.Text{IDs: append(slices.Clone(e.Prompt), e.Target[:len(e.Target)-1]...), Labels: labels})
		if err != nil {
			t.Fatal(err)
		}
		lmtest.Near(t, key("query"), a.query, firsts[i*in:(i+1)*in], 1e-5, 0)
		if j, delta := nearest(book.pairs, a.query); want.Distance != nil && (j != want.Nearest || math.Abs(delta-*want.Distance) > 1e-5*math.Max(1, *want.Distance)) {
			t.Errorf("edit %d: nearest key %d at %v, want %d at %v", i, j, delta, want.Nearest, *want.Distance)
		}
		starts := g.Floats(key("values_start"))
		n := len(starts) / out
		entry := Entry{ID: fmt.Sprint(i), Labels: e.Target, Tokens: len(e.Prompt), Query: a.query, Value: slices.Clone(starts[(n-1)*out:])}
		if set.Init == "warm" && n > book.Len() {
			lmtest.Near(t, key("warm value"), ed.fresh(a, "", 0), starts[(n-1)*out:], 1e-5, 0)
		}
		look := &Codebook{Rules: book.Rules, pairs: slices.Clone(book.pairs)}
		if _, trained := look.add(entry, entry.Value); (trained >= 0) != want.Within || trained >= 0 && trained != want.Trained {
			t.Errorf("edit %d trains key %d, want %d, within its radius: %v", i, trained, want.Trained, want.Within)
		}
		lmtest.Near(t, key("epsilons_start"), radii(look), g.Floats(key("epsilons_start")), 1e-5, 0)
		var first []float32
		step, err := ed.train(context.Background(), m, site, book, entry, a, func(number int, v []float32) {
			if number == 0 {
				first = slices.Clone(v)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		book = step.book
		if string(step.decision) != want.Decision || book.Len() != want.Keys {
			t.Errorf("edit %d: %q, %d keys; want %q, %d", i, step.decision, book.Len(), want.Decision, want.Keys)
		}
		if want.Within {
			start := starts[want.Trained*out : (want.Trained+1)*out]
			mostly(t, key("values_1"), first, g.Floats(key("values_1"))[want.Trained*out:(want.Trained+1)*out], start, 1e-4)
			lmtest.Near(t, key("losses"), narrow(step.losses), g.Floats(key("losses")), 1e-3, 0)
			mostly(t, key("values"), book.pairs[want.Trained].value, g.Floats(key("values"))[want.Trained*out:(want.Trained+1)*out], start, 5e-3)
		}
		var keys []float32
		for _, p := range book.pairs {
			keys = append(keys, p.key...)
		}
		lmtest.Near(t, key("keys"), keys, g.Floats(key("keys")), 1e-5, 0)
	}
	queries, distances := g.Floats("queries"), g.Floats(name+".query_distances")
	var logits []float32
	for i, ids := range c.Queries {
		q := queries[i*in : (i+1)*in]
		j, _ := nearest(book.pairs, q)
		if hit := book.Find(q) >= 0; j != run.Chosen[i] || hit != run.Within[i] {
			t.Errorf("query %d: key %d, within %v; want %d, %v", i, j, hit, run.Chosen[i], run.Within[i])
		}
		var mine []float32
		for _, p := range book.pairs {
			mine = append(mine, float32(distance(p.key, q)))
		}
		lmtest.Near(t, fmt.Sprintf("distances of query %d", i), mine, distances[i*len(mine):(i+1)*len(mine)], 1e-5, 1e-6)
		logits = append(logits, lastLogits(t, m, k, book, ids)...)
	}
	lmtest.Near(t, name+".epsilons", radii(book), g.Floats(name+".epsilons"), 1e-5, 0)
	lmtest.Near(t, name+".logits", logits, g.Floats(name+".logits"), 5e-3, 0)
}

func radii(b *Codebook) []float32 {
	var out []float32
	for _, p := range b.pairs {
		out = append(out, float32(p.eps))
	}
	return out
}

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// mostly is Near for all but 1 % of the components (at least one): Adam's first
// step is lr·sign(g), and a gradient near 0 may have either sign. So has that of
// components that start where an activation behind the layer is flat.
func mostly(t *testing.T, what string, got, want, start []float32, relative float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	largest, wrong := 0.0, 0
	for _, v := range want {
		largest = math.Max(largest, math.Abs(float64(v)))
	}
	const flat = -3
	for i := range want {
		if start[i] > flat && !(math.Abs(float64(got[i])-float64(want[i])) <= relative*largest) {
			wrong++
		}
	}
	if wrong > max(1, len(want)/100) {
		t.Errorf("%s: %d of %d components differ", what, wrong, len(want))
	}
}

// lastLogits are those behind a prompt, with the codebook behind its layer; nil:
// without.
func lastLogits(t *testing.T, m *lm.Model, k *kernel.Engine, b *Codebook, ids []int32) []float32 {
	t.Helper()
	o := eager.New(k)
	n := len(ids)
	if b != nil {
		edit.Intercept(o, b, []edit.Span{{Range: nn.Range{Lo: 0, Hi: n}, Prompt: n}})
	}
	x := m.Logits(o, lm.Forward[kernel.Matrix](o, m, &nn.IDs{V: ids}, nn.Pack(n), nil))
	if err := o.Err(); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(x.Data[(n-1)*x.Cols : n*x.Cols])
}

// lastOf is lastLogits for a text whose prompt ends earlier.
func lastOf(t *testing.T, m *lm.Model, k *kernel.Engine, b *Codebook, ids []int32, prompt int) []float32 {
	t.Helper()
	o := eager.New(k)
	n := len(ids)
	edit.Intercept(o, b, []edit.Span{{Range: nn.Range{Lo: 0, Hi: n}, Prompt: prompt}})
	x := m.Logits(o, lm.Forward[kernel.Matrix](o, m, &nn.IDs{V: ids}, nn.Pack(n), nil))
	if err := o.Err(); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(x.Data[(n-1)*x.Cols : n*x.Cols])
}

func generateOptions(tokens int) lm.GenerateOptions { return lm.GenerateOptions{Tokens: tokens} }

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}
