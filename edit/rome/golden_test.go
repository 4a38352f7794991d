package rome

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// hparams are the reference's names.
type hparams struct {
	Layers     []int
	FactToken  string  `json:"fact_token"`
	Steps      int     `json:"v_num_grad_steps"`
	LR         float64 `json:"v_lr"`
	Decay      float64 `json:"v_weight_decay"`
	Clamp      float64 `json:"clamp_norm_factor"`
	KL         float64 `json:"kl_factor"`
	Covariance bool    `json:"mom2_adjustment"`
}

// config is the original ROME of h, unlimited.
func (h hparams) config(templates []string) Config {
	c := Default()
	c.Layer, c.FactToken, c.KeyMode, c.Covariance = h.Layers[0], h.FactToken, Original, h.Covariance
	c.Steps, c.LR, c.WeightDecay, c.Clamp, c.KL = h.Steps, h.LR, h.Decay, h.Clamp, h.KL
	c.Contexts.Templates, c.Force = templates, true
	if len(templates) == 1 { // the bare prompt alone
		c.Contexts.Lengths = nil
	}
	return c
}

type request struct {
	Prompt, Subject string
	Target          struct{ Str string } `json:"target_new"`
}

func (r request) request() edit.Request {
	return edit.Request{ID: "golden", Prompt: strings.Replace(r.Prompt, "{}", r.Subject, 1), Subject: r.Subject, Target: strings.TrimSpace(r.Target.Str)}
}

// momentOf is a moment whose C is c.
func momentOf(t *testing.T, m *lm.Model, c []float32, tokens int) stats.Source {
	t.Helper()
	return func(base *lm.Model, s lm.Site) (*stats.Moment, error) {
		hash, err := base.Hash()
		if err != nil {
			return nil, err
		}
		out := &stats.Moment{Info: stats.Info{Model: hash, Site: s.Name, Width: s.Linear.In, Tokens: tokens, Corpus: "golden"}}
		for _, v := range c {
			out.Sum = append(out.Sum, float64(v)*float64(tokens))
		}
		return out, nil
	}
}

// lastLogits are the logits behind each of the texts, one after another.
func lastLogits(t *testing.T, m *lm.Model, k *kernel.Engine, texts []string) []float32 {
	t.Helper()
	var out []float32
	for _, text := range texts {
		ids := m.Tokenizer.EncodeSpecial(text)
		n := len(ids)
		o := eager.New(k)
		last := &nn.RowSet{V: []int32{int32(n - 1)}}
		x := m.Logits(o, lm.Forward[kernel.Matrix](o, m, &nn.IDs{V: ids}, nn.Pack(n), last))
		if err := o.Err(); err != nil {
			t.Fatal(err)
		}
		out = append(out, x.Data[:x.Cols]...)
	}
	return out
}

// stored is the change of a weight in its stored orientation.
func stored(m *lm.Model, c edit.Change) []float32 {
	l, _ := m.Linear(c.Weight)
	out := make([]float32, l.In*l.Out)
	for i, u := range c.Delta.U.Data {
		for o, r := range c.Delta.D.Data {
			at := o*l.In + i
			if l.InOut {
				at = i*l.Out + o
			}
			out[at] = u * r
		}
	}
	return out
}

func figure(t *testing.T, d *edit.Edited, name string) float64 {
	t.Helper()
	for _, f := range d.Report {
		if v, ok := f.Value.(float64); ok && f.Name == name {
			return v
		}
	}
	t.Fatalf("the report has no number %s", name)
	return 0
}

// TestGoldenEdits compares with rome_*.safetensors files.
func TestGoldenEdits(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", "rome"), "*", "rome_*.safetensors"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".safetensors"), func(t *testing.T) {
			g, dir := lmtest.Open(t, path, ""), filepath.Dir(path)
			meta := g.File().Metadata()
			var h hparams
			var req request
			var templates, probes []string
			for name, to := range map[string]any{"hparams": &h, "request": &req, "context_templates": &templates, "probes": &probes} {
				if err := json.Unmarshal([]byte(meta[name]), to); err != nil {
					t.Fatal(err)
				}
			}
			m, k := lmtest.Model(t, filepath.Join(dir, meta["model"])), lmtest.Engine(t, 0)
			c := lmtest.Open(t, filepath.Join(dir, "covariance"+strings.Replace(strings.TrimPrefix(meta["model"], "model"), "-", "_", 1)+".safetensors"), "")
			moments := momentOf(t, m, c.Floats("C"), int(c.Ints("count")[0]))
			cfg := h.config(templates)
			site, err := cfg.EditedSite(m)
			if err != nil || site.Name != meta["weight"] {
				t.Fatalf("site %s, want %s (%v)", site.Name, meta["weight"], err)
			}

			// The closed form from the reference's own keys and value.
			var solve solver = identity{}
			if h.Covariance {
				moment, err := moments(m, site)
				if err != nil {
					t.Fatal(err)
				}
				if solve, err = moment.Factor(0); err != nil {
					t.Fatal(err)
				}
			}
			u, err := newUpdate(solve, wide(g.Floats("k.mean")), wide(g.Floats("cur_input")), wide(g.Floats("cur_output")), wide(g.Floats("v.target")))
			if err != nil {
				t.Fatal(err)
			}
			lmtest.Near(t, "left", narrow(nil, u.left), g.Floats("left"), 2e-4, 0)
			lmtest.Near(t, "right", narrow(nil, u.right), g.Floats("right"), 2e-4, 0)
			lmtest.Near(t, "division factor", []float32{float32(u.divisor)}, g.Floats("division_factor"), 1e-4, 0)
			if h.FactToken == keyvalue.Last { // there the reference takes its value from padding
				return
			}

			before := lastLogits(t, m, k, probes)
			ed, err := New(k, cfg, moments)
			if err != nil {
				t.Fatal(err)
			}
			d, err := ed.Apply(t.Context(), m, []edit.Request{req.request()})
			if err != nil {
				t.Fatal(err)
			}
			lmtest.Near(t, "left of the edit", d.Changes[0].Delta.U.Data, g.Floats("left"), 2e-4, 0)
			lmtest.Near(t, "right of the edit", d.Changes[0].Delta.D.Data, g.Floats("right"), 2e-4, 0)
			lmtest.Near(t, "dW", stored(m, d.Changes[0]), g.Floats("dW"), 2e-4, 0)
			if r := figure(t, d, "constraint_residual"); !(r < 1e-4) {
				t.Errorf("constraint's residual %v", r)
			}
			undo, err := d.Install(m, k)
			if err != nil {
				t.Fatal(err)
			}
			defer undo()
			if g.Has("W_after") {
				p, _ := m.Param(site.Name)
				values, err := p.Values()
				if err != nil {
					t.Fatal(err)
				}
				lmtest.Near(t, "W_after", values, g.Floats("W_after"), 2e-4, 0)
			}
			after := lastLogits(t, m, k, probes)
			lmtest.Near(t, "logits before", before, lastOf(g, "before", len(probes)), 1e-4, 0)
			lmtest.Near(t, "logits after", after, lastOf(g, "after", len(probes)), 1e-4, 0)
		})
	}
}

// lastOf are the reference's logits behind each probe.
func lastOf(g lmtest.Tensors, when string, probes int) []float32 {
	if name := "probe.last_logits_" + when; g.Has(name) {
		return g.Floats(name)
	}
	all, mask := g.Floats("probe.logits_"+when), g.Ints("probe.attention_mask")
	rows := len(mask) / probes
	vocab := len(all) / len(mask)
	var out []float32
	for i := range probes {
		n := 0
		for _, v := range mask[i*rows : (i+1)*rows] {
			n += int(v)
		}
		at := (i*rows + n - 1) * vocab
		out = append(out, all[at:at+vocab]...)
	}
	return out
}

// TestGoldenRuns compares with the runs of golden.json files.
func TestGoldenRuns(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", "rome"), "*", "golden.json"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, path := range cases {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var parts map[string]json.RawMessage
		var about struct {
			Contexts   []string
			Covariance struct{ Keys int }
		}
		for _, to := range []any{&parts, &about} {
			if err := json.Unmarshal(text, to); err != nil {
				t.Fatal(err)
			}
		}
		dir := filepath.Dir(path)
		m, k := lmtest.Model(t, filepath.Join(dir, "model")), lmtest.Engine(t, 0)
		moments := momentOf(t, m, lmtest.Open(t, filepath.Join(dir, "golden.safetensors"), "").Floats("cov.C"), about.Covariance.Keys)
		seen := 0
		for name, part := range parts {
			var run struct {
				Request  request
				HParams  json.RawMessage `json:"hparams"`
				Probes   []string
				Division float32 `json:"division_factor"`
			}
			if json.Unmarshal(part, &run) != nil || run.Probes == nil {
				continue
			}
			seen++
			t.Run(filepath.Base(dir)+" "+name, func(t *testing.T) {
				var h hparams
				for _, from := range []json.RawMessage{parts["hparams"], run.HParams} {
					if err := json.Unmarshal(from, &h); err != nil {
						t.Fatal(err)
					}
				}
				g := lmtest.Open(t, filepath.Join(dir, "golden.safetensors"), name+".")
				ed, err := New(k, h.config(about.Contexts), moments)
				if err != nil {
					t.Fatal(err)
				}
				before := lastLogits(t, m, k, run.Probes)
				d, err := ed.Apply(t.Context(), m, []edit.Request{run.Request.request()})
				if err != nil {
					t.Fatal(err)
				}
				lmtest.Near(t, "left", d.Changes[0].Delta.U.Data, g.Floats("left"), 1e-3, 0)
				lmtest.Near(t, "right", d.Changes[0].Delta.D.Data, g.Floats("right"), 2e-3, 0)
				lmtest.Near(t, "dW", stored(m, d.Changes[0]), g.Floats("dW"), 2e-3, 0)
				lmtest.Near(t, "division factor", []float32{float32(figure(t, d, "division_factor"))}, []float32{run.Division}, 1e-3, 0)
				undo, err := d.Install(m, k)
				if err != nil {
					t.Fatal(err)
				}
				defer undo()
				after := lastLogits(t, m, k, run.Probes)
				var picked, unedited []float32
				ids := g.Ints("after_top_ids")
				for i, id := range ids {
					at := i/(len(ids)/len(run.Probes))*m.Config.Vocab + int(id)
					picked, unedited = append(picked, after[at]), append(unedited, before[at])
				}
				lmtest.Near(t, "logits after", picked, g.Floats("after_top_logits"), 2e-3, 0)
				lmtest.Near(t, "logits before", unedited, g.Floats("before_at_after_top"), 1e-4, 0)
			})
		}
		if seen == 0 {
			t.Fatalf("%s has no runs", path)
		}
	}
}
