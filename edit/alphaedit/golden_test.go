package alphaedit

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue/keyvaluetest"
	"keyhole.example/keyhole/edit/spread"
	"keyhole.example/keyhole/edit/spread/spreadtest"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
)

// goldenRun is a run of golden.json; base alone has the requests.
type goldenRun struct {
	HParams json.RawMessage
	Kept    []int `json:"kept_directions"`
	Batches []struct{ Requests []keyvaluetest.Request }
}

// TestGoldenRuns compares with the runs of golden.json files: projectors, the
// closed form from the reference's own keys, history and residuals, and whole
// sequences.
func TestGoldenRuns(t *testing.T) {
	for _, c := range keyvaluetest.Cases(t, "alphaedit") {
		var base goldenRun
		keyvaluetest.Read(t, c.Parts["base"], &base)
		for name, part := range c.Parts {
			var run goldenRun
			if json.Unmarshal(part, &run) != nil || len(run.Batches) == 0 {
				continue
			}
			t.Run(filepath.Base(c.Dir)+" "+name, func(t *testing.T) { golden(t, c, name, run, base) })
		}
	}
}

func golden(t *testing.T, c *keyvaluetest.Case, name string, run, base goldenRun) {
	h, g := c.HParams(t, run.HParams), c.Tensors(t, name+".")
	m, k := c.Model(t), lmtest.Engine(t, 0)
	cfg := Default()
	cfg.Config = spreadtest.Config(c, h, cfg.Config)
	cfg.Layers, cfg.Threshold, cfg.L2, cfg.LossLayer, cfg.Replace = h.Layers, h.Threshold, h.L2, h.LossLayer, false
	ed, err := New(k, cfg, spreadtest.Moments(t, c))
	if err != nil {
		t.Fatal(err)
	}
	sites, err := spread.Sites(m, cfg.Layers)
	if err != nil {
		t.Fatal(err)
	}
	made, err := ed.system(m, sites, &edit.Edited{}, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := made.(*system)
	for i, l := range h.Layers {
		kept := 0
		if k := s.sites[i].kept; k != nil {
			kept, _ = k.Dims()
			if p := fmt.Sprintf("layer%d.P", l); g.Has(p) {
				var projector mat.Dense
				projector.Mul(k.T(), k)
				lmtest.Near(t, p, spreadtest.Flat(&projector), g.Floats(p), 0, 5e-4)
			}
		}
		if kept != run.Kept[i] {
			t.Errorf("layer %d: %d directions are kept, want %d", l, kept, run.Kept[i])
		}
	}
	tolerance := map[string]float64{"small_L2": 1e-3, "narrow": 1e-3}[name]
	if tolerance == 0 {
		tolerance = 1e-4
	}
	var last *edit.Edited
	for b, batch := range base.Batches {
		requests := keyvaluetest.Requests(batch.Requests)
		prefix := fmt.Sprintf("batch%d.", b)
		for i, l := range h.Layers {
			closedForm(t, s, i, sites[i], g, b, l, len(requests), tolerance)
		}
		lmtest.Near(t, prefix+"logits before", spreadtest.LastLogits(t, c, m, k), g.Floats(prefix+"logits_before"), 5e-3, 0)
		if b == 0 {
			key := fmt.Sprintf("%slayer%d.K", prefix, h.Layers[0])
			lmtest.Near(t, key, spreadtest.Keys(t, c, m, k, h.Layers[0], requests), g.Floats(key), 1e-5, 0)
		}
		out, err := ed.Continue(t.Context(), m, last, requests)
		if err != nil {
			t.Fatal(err)
		}
		undo, err := out.Install(m, k)
		if err != nil {
			t.Fatal(err)
		}
		defer undo()
		last = out
		lmtest.Near(t, prefix+"logits after", spreadtest.LastLogits(t, c, m, k), g.Floats(prefix+"logits_after"), 5e-3, 0)
		for i, l := range h.Layers {
			if w := fmt.Sprintf("%slayer%d.W_after", prefix, l); g.Has(w) {
				got, err := sites[i].Linear.W.Values()
				if err != nil {
					t.Fatal(err)
				}
				lmtest.Near(t, w, got, g.Floats(w), 5e-3, 0)
			}
		}
	}
}

// closedForm compares the update that follows from the reference's keys,
// residual and cache: (P(KKᵀ + M) + λI)·X = P·K·residualᵀ. Keys whose products
// sum up to M are its eigenvectors.
func closedForm(t *testing.T, s *system, site int, at lm.Site, g lmtest.Tensors, batch, layer, n int, tolerance float64) {
	t.Helper()
	name := func(what string) string { return fmt.Sprintf("batch%d.layer%d.%s", batch, layer, what) }
	if !g.Has(name("K")) || !g.Has(name("update")) {
		return
	}
	in := at.Linear.In
	keys := spreadtest.Dense(g.Floats(name("K")), in, n)
	own, err := s.Transform(site, keys)
	if err != nil {
		t.Fatal(err)
	}
	all := own
	if batch > 0 {
		cache := fmt.Sprintf("batch%d.layer%d.cache_after", batch-1, layer)
		if !g.Has(cache) {
			return
		}
		old, err := s.Transform(site, roots(spreadtest.Dense(g.Floats(cache), in, in)))
		if err != nil {
			t.Fatal(err)
		}
		all = new(mat.Dense)
		all.Augment(old, own)
	}
	x, err := s.Solve(site, all, n)
	if err != nil {
		t.Fatal(err)
	}
	var update mat.Dense
	update.Mul(x, spreadtest.Dense(g.Floats(name("residual")), at.Linear.Out, n).T())
	lmtest.Near(t, name("update"), spreadtest.Flat(&update), g.Floats(name("update")), tolerance, 1e-12)
}

// roots are columns whose outer products sum up to m.
func roots(m *mat.Dense) *mat.Dense {
	n, _ := m.Dims()
	sym := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			sym.SetSym(i, j, (m.At(i, j)+m.At(j, i))/2)
		}
	}
	var eig mat.EigenSym
	eig.Factorize(sym, true)
	var v mat.Dense
	eig.VectorsTo(&v)
	for j, value := range eig.Values(nil) {
		root := 0.0
		if value > 0 {
			root = sqrt(value)
		}
		for i := range n {
			v.Set(i, j, v.At(i, j)*root)
		}
	}
	return &v
}
