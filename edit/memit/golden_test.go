package memit

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
	"keyhole.example/keyhole/lm/lmtest"
)

// TestGoldenRuns compares with the runs of golden.json files: the closed form
// from the reference's own keys and residuals, and the whole edit.
func TestGoldenRuns(t *testing.T) {
	for _, c := range keyvaluetest.Cases(t, "memit") {
		seen := 0
		for name, part := range c.Parts {
			var run struct {
				Requests []keyvaluetest.Request
				HParams  json.RawMessage
			}
			if json.Unmarshal(part, &run) != nil || run.Requests == nil {
				continue
			}
			seen++
			t.Run(filepath.Base(c.Dir)+" "+name, func(t *testing.T) {
				h, g := c.HParams(t, run.HParams), c.Tensors(t, name+".")
				m, k := c.Model(t), lmtest.Engine(t, 0)
				cfg := Default()
				cfg.Config = spreadtest.Config(c, h, cfg.Config)
				cfg.Layers, cfg.Weight, cfg.LossLayer = h.Layers, h.Weight, h.LossLayer
				ed, err := New(k, cfg, spreadtest.Moments(t, c))
				if err != nil {
					t.Fatal(err)
				}
				sites, err := spread.Sites(m, cfg.Layers)
				if err != nil {
					t.Fatal(err)
				}
				requests := keyvaluetest.Requests(run.Requests)
				s, err := ed.system(m, sites, &edit.Edited{}, 1, 0)
				if err != nil {
					t.Fatal(err)
				}
				for i, l := range h.Layers {
					closedForm(t, s.(*system), i, sites[i].Linear.In, m.Config.Width, len(requests), g, fmt.Sprintf("layer%d.", l))
				}
				lmtest.Near(t, "first keys", spreadtest.Keys(t, c, m, k, h.Layers[0], requests), g.Floats(fmt.Sprintf("layer%d.K", h.Layers[0])), 1e-5, 0)
				lmtest.Near(t, "logits before", spreadtest.LastLogits(t, c, m, k), g.Floats("logits_before"), 1e-5, 0)
				out, err := ed.Apply(t.Context(), m, requests)
				if err != nil {
					t.Fatal(err)
				}
				undo, err := out.Install(m, k)
				if err != nil {
					t.Fatal(err)
				}
				defer undo()
				lmtest.Near(t, "logits after", spreadtest.LastLogits(t, c, m, k), g.Floats("logits_after"), 5e-3, 0)
				for i, l := range h.Layers {
					if !g.Has(fmt.Sprintf("layer%d.W_after", l)) {
						continue
					}
					w, err := sites[i].Linear.W.Values()
					if err != nil {
						t.Fatal(err)
					}
					lmtest.Near(t, fmt.Sprintf("layer%d.W_after", l), w, g.Floats(fmt.Sprintf("layer%d.W_after", l)), 2e-3, 0)
				}
			})
		}
		if seen == 0 {
			t.Fatalf("%s has no runs", c.Dir)
		}
	}
}

// closedForm compares adj_k = (λC + KKᵀ)⁻¹K and residual·adj_kᵀ.
func closedForm(t *testing.T, s *system, site, in, width, n int, g lmtest.Tensors, layer string) {
	t.Helper()
	both, err := s.Transform(site, spreadtest.Dense(g.Floats(layer+"K"), in, n))
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.Solve(site, both, n)
	if err != nil {
		t.Fatal(err)
	}
	lmtest.Near(t, layer+"adj_k", spreadtest.Flat(x), g.Floats(layer+"adj_k"), 1e-6, 0)
	if g.Has(layer + "update") {
		var update mat.Dense
		update.Mul(spreadtest.Dense(g.Floats(layer+"residual"), width, n), x.T())
		lmtest.Near(t, layer+"update", spreadtest.Flat(&update), g.Floats(layer+"update"), 1e-6, 0)
	}
}
