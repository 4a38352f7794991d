package wise

import (
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
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

type goldenCase struct {
	Layer   string
	Queries [][]int32 `json:"query_ids"`
}

type goldenRun struct {
	Settings struct {
		LR        float64 `json:"edit_lr"`
		Steps     int     `json:"n_iter"`
		Alpha     float64
		Beta      float64
		Gamma     float64
		Merge     int `json:"merge_freq"`
		Save      int `json:"save_freq"`
		Densities float64
		Retrieve  bool
		Mask      float64 `json:"mask_ratio"`
		ActRatio  float64 `json:"act_ratio"`
		Clamp     float64 `json:"norm_constraint"`
	}
	Edits []struct {
		IDs       [][]int32 `json:"input_ids"`
		Attention [][]int   `json:"attention_mask"`
		Labels    [][]int32
		ActMask   [][]int `json:"act_mask"`
		Steps     int
		Now       float64   `json:"min_act_now"`
		Saved     []float64 `json:"memory_min_act"`
		Taken     []string
	}
}

// TestGoldenRuns: where nothing is padded, every loss, gradient, weight, distance
// and route; elsewhere, where the reference averages over padding, what follows
// from its own weights and gradients: steps, shards, merges, routes.
func TestGoldenRuns(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", "wise"), "*", "golden.json"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, path := range found {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var c goldenCase
		var parts map[string]json.RawMessage
		if json.Unmarshal(raw, &c) != nil || json.Unmarshal(raw, &parts) != nil {
			t.Fatalf("%s cannot be read", path)
		}
		for name, part := range parts {
			var run goldenRun
			if json.Unmarshal(part, &run) == nil && len(run.Edits) > 0 && run.Settings.Steps > 0 {
				t.Run(filepath.Base(filepath.Dir(path))+" "+name, func(t *testing.T) { follow(t, filepath.Dir(path), name, c, run) })
			}
		}
	}
}

func follow(t *testing.T, dir, name string, c goldenCase, run goldenRun) {
	m, k := lmtest.Model(t, golden.Path(t, "models", "stories260k")), lmtest.Engine(t, 0)
	g := lmtest.Open(t, filepath.Join(dir, "golden.safetensors"), name+".")
	s := run.Settings
	cfg := Default()
	cfg.LR, cfg.Steps, cfg.Alpha, cfg.Beta, cfg.Gamma = s.LR, s.Steps, s.Alpha, s.Beta, s.Gamma
	cfg.Merge, cfg.Save, cfg.Density, cfg.Retrieve, cfg.MaskRatio = s.Merge, s.Save, s.Densities, s.Retrieve, s.Mask
	cfg.ActRatio, cfg.Clamp, cfg.Compat = s.ActRatio, s.Clamp, CompatReference
	cfg.Layer = strings.NewReplacer("[", ".", "]", "").Replace(c.Layer)
	site, err := cfg.Site(m)
	if err != nil {
		t.Fatal(err)
	}
	base, err := site.Linear.W.Values()
	if err != nil {
		t.Fatal(err)
	}
	ed := &Editor{k: k, cfg: cfg}
	memory, err := ed.begin(m, site, nil)
	if err != nil {
		t.Fatal(err)
	}
	var mask []bool
	merges, asked := 0, 0
	for i, e := range run.Edits {
		key := func(what string) string { return fmt.Sprintf("edit%d.%s", i, what) }
		if g.Has(key("mask")) {
			mask = bits(t, g, name+"."+key("mask"))
		}
		even := e.ActMask == nil && !slices.ContainsFunc(e.Attention, func(row []int) bool { return slices.Contains(row, 0) })
		var shards [][]float32 // that are complete with this edit
		switch {
		case even:
			for _, s := range memory.saved {
				shards = append(shards, s.change)
			}
			var change []float32
			memory, change = trained(t, ed, m, site, memory, g, key, texts(e.IDs, e.Labels), mask)
			shards = append(shards, change)
		default: // the reference's weights
			if g.Has(key("weight_1")) && g.Has(key("masked_gradient_0")) && i == 0 {
				grad, w := g.Floats(key("masked_gradient_0")), slices.Clone(base)
				for j, d := range grad {
					w[j] -= float32(cfg.LR) * (d + 1e-5*w[j])
				}
				lmtest.Near(t, key("weight_1"), w, g.Floats(key("weight_1")), 1e-6, 0)
			}
			threshold := e.Now
			if n := len(e.Saved); (i+1)%cfg.Save == 0 && n > 0 && cfg.Retrieve {
				threshold = e.Saved[n-1]
			}
			change := given(g, key, base)
			if change == nil { // the weights are those of the run retrieve
				change = given(lmtest.Open(t, filepath.Join(dir, "golden.safetensors"), "retrieve."), key, base)
			}
			switch {
			case change != nil:
				if memory, err = memory.with(edit.Request{}, change, threshold); err != nil {
					t.Fatal(err)
				}
			case g.Has(key("merged")): // what was merged is not there, but what came of it is
				memory = afterMerge(memory, minus(g.Floats(key("merged")), base), e.Now, e.Saved)
			default: // between shards, and asked nothing
				advanced := *memory
				advanced.Requests = append(slices.Clip(memory.Requests), edit.Request{})
				memory = &advanced
			}
		}
		if cfg.Retrieve {
			if got := memory.fresh.threshold; math.Abs(got/e.Now-1) > 2e-3 {
				t.Errorf("edit %d: threshold %v, want %v", i, got, e.Now)
			}
		}
		if g.Has(key("merged")) {
			merged := memory.main
			if cfg.Retrieve {
				merged = memory.saved[len(memory.saved)-1].change
			}
			got, want := plus(base, merged), g.Floats(key("merged"))
			merges++
			if even {
				agree(t, key("merged"), got, want, shards, cfg.Density)
				memory = memory.holding(minus(want, base))
			} else {
				lmtest.Near(t, key("merged"), got, want, 1e-6, 0)
			}
		}
		if g.Has(key("query_distances")) {
			asked++
			routes(t, m, k, memory, c.Queries, g.Floats(key("query_distances")), g.Floats(key("query_logits")), e.Taken, i)
		}
	}
	if merges == 0 || asked < 4 {
		t.Errorf("%d merges were compared and the queries of %d edits; want one and those of four", merges, asked)
	}
}

// afterMerge is the memory after an edit whose shard was merged.
func afterMerge(m *Memory, merged []float32, now float64, saved []float64) *Memory {
	out := *m
	out.Requests = append(slices.Clip(m.Requests), edit.Request{})
	out.fresh = side{threshold: now}
	if m.Rules.Retrieve {
		out.saved = []side{{merged, saved[0]}}
	} else {
		out.main, out.saved = merged, nil
	}
	return &out
}

func minus(a, b []float32) []float32 {
	out := slices.Clone(a)
	for i, v := range b {
		out[i] -= v
	}
	return out
}

// given is the side memory's change after an edit, as the reference has it.
func given(g lmtest.Tensors, key func(string) string, base []float32) []float32 {
	for _, what := range []string{"saved", "weight"} {
		if !g.Has(key(what)) {
			continue
		}
		return minus(g.Floats(key(what)), base)
	}
	return nil
}

func plus(a, b []float32) []float32 {
	out := slices.Clone(a)
	for i, v := range b {
		out[i] += v
	}
	return out
}

func bits(t *testing.T, g lmtest.Tensors, name string) []bool {
	t.Helper()
	x, ok := g.File().Tensor(name)
	if !ok || x.DType != tensorfile.U8 {
		t.Fatalf("no mask %s", name)
	}
	out := make([]bool, len(x.Raw))
	for i, b := range x.Raw {
		out[i] = b == 1
	}
	return out
}

// texts are rows of ids with labels as the reference has them: at the token itself.
func texts(ids, labels [][]int32) []text.Text {
	var out []text.Text
	for i, row := range ids {
		x := text.Text{IDs: row, Labels: slices.Repeat([]int32{-1}, len(row))}
		for j := 1; j < len(row); j++ {
			if l := labels[i][j]; l >= 0 {
				x.Labels[j-1] = l
			}
		}
		out = append(out, x)
	}
	return out
}

// trained makes an edit and compares it step by step. It returns the side memory's
// change too.
func trained(t *testing.T, ed *Editor, m *lm.Model, site lm.Site, memory *Memory, g lmtest.Tensors, key func(string) string, rows []text.Text, mask []bool) (*Memory, []float32) {
	t.Helper()
	tr, err := ed.trainer(m, site, memory, rows, mask)
	if err != nil {
		t.Fatal(err)
	}
	var targets, margins []float32
	tr.watch = func(step int, target, margin float64, grad, weight []float32) {
		targets, margins = append(targets, float32(target)), append(margins, float32(margin))
		if step == 0 && g.Has(key("masked_gradient_0")) {
			lmtest.Near(t, key("masked_gradient_0"), grad, g.Floats(key("masked_gradient_0")), 1e-4, 0)
		}
		if step == 0 && g.Has(key("weight_1")) {
			lmtest.Near(t, key("weight_1"), weight, g.Floats(key("weight_1")), 1e-4, 0)
		}
	}
	_, distance, err := tr.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := g.Floats(key("ft_loss")); len(want) >= len(targets) {
		lmtest.Near(t, key("ft_loss"), targets, want[:len(targets)], 2e-3, 0)
		lmtest.Near(t, key("first ft_loss"), targets[:1], want[:1], 1e-4, 0)
		lmtest.Near(t, key("act_loss"), margins, g.Floats(key("act_loss"))[:len(margins)], 2e-3, 0)
	} else {
		t.Errorf("%s: %d steps, want %d", key("ft_loss"), len(targets), len(want))
	}
	w, err := tr.weight.Values()
	if err != nil {
		t.Fatal(err)
	}
	if g.Has(key("weight")) {
		lmtest.Near(t, key("weight"), w, g.Floats(key("weight")), 2e-3, 0)
	}
	out, err := tr.into(memory, edit.Request{}, distance)
	if err != nil {
		t.Fatal(err)
	}
	return out, minus(w, tr.start)
}

// routes asks the queries.
func routes(t *testing.T, m *lm.Model, k *kernel.Engine, memory *Memory, queries [][]int32, distances, logits []float32, taken []string, number int) {
	t.Helper()
	columns := len(distances) / len(queries)
	var all []float32
	for q, ids := range queries {
		n := len(ids)
		o := eager.New(k)
		var way edit.Route
		var mine []float32
		o.OnLinear = func(l *nn.Linear, x, y kernel.Matrix) {
			if l.W.Name != memory.Layer {
				return
			}
			mine = append(mine, float32(memory.distance(memory.fresh.change, x, y)))
			if memory.Rules.Retrieve {
				for _, s := range memory.saved {
					mine = append(mine, float32(memory.distance(s.change, x, y)))
				}
			} else if memory.main != nil {
				mine = append(mine, float32(memory.distance(memory.main, x, y)))
			}
			way = memory.Route(x, y)
			memory.Adapt(memory.Layer, way, x, y, 0, n)
		}
		x := m.Logits(o, lm.Forward[kernel.Matrix](o, m, &nn.IDs{V: ids}, nn.Pack(n), nil))
		if err := o.Err(); err != nil {
			t.Fatal(err)
		}
		all = append(all, x.Data[(n-1)*x.Cols:n*x.Cols]...)
		if len(mine) == columns {
			lmtest.Near(t, fmt.Sprintf("edit %d, distances of query %d", number, q), mine, distances[q*columns:(q+1)*columns], 1e-4, 1e-6)
		}
		name := map[int]string{wayMatrix: "original", wayFresh: "new", wayMain: "merged"}[way.To]
		if way.To >= wayFirst {
			name = fmt.Sprintf("memory %d", way.To-wayFirst)
		}
		if taken != nil && name != taken[q] {
			t.Errorf("edit %d, query %d goes through %s, want %s", number, q, name, taken[q])
		}
	}
	if len(logits) == len(all) {
		lmtest.Near(t, fmt.Sprintf("edit %d, logits", number), all, logits, 1e-3, 0)
	}
}
