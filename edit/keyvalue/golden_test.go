package keyvalue

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue/keyvaluetest"
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

func (h hparams) settings() Settings {
	return Settings{
		Search:    Search{Steps: h.Steps, LR: h.LR, WeightDecay: h.Decay, Clamp: h.Clamp, KL: h.KL, StopLoss: 0.05},
		LossBlock: -1, EditKnown: true,
	}
}

// request is the reference's form of a request.
type request struct {
	Prompt, Subject string
	Target          struct{ Str string } `json:"target_new"`
}

func (r request) request() edit.Request {
	return edit.Request{ID: "golden", Prompt: strings.Replace(r.Prompt, "{}", r.Subject, 1), Subject: r.Subject, Target: strings.TrimSpace(r.Target.Str)}
}

// prefixes are templates without the bare one.
func prefixes(t *testing.T, templates []string) []string {
	t.Helper()
	out, err := Contexts(nil, nil, ContextConfig{Templates: templates})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// record collects what a problem does step by step.
type record struct {
	delta, grad, moved, each []float32
	nll, kl, decay, total    []float32
}

func (p *problem) recorded(t *testing.T) (*record, *Value) {
	t.Helper()
	r := &record{}
	p.watch = func(l Loss, delta, grad, moved []float32) {
		r.delta, r.grad, r.moved = append(r.delta, delta...), append(r.grad, grad...), append(r.moved, moved...)
		for _, v := range l.Each {
			r.each = append(r.each, float32(v))
		}
		r.nll, r.kl = append(r.nll, float32(l.NLL)), append(r.kl, float32(l.KL))
		r.decay, r.total = append(r.decay, float32(l.Decay)), append(r.total, float32(l.Total()))
	}
	v, err := p.solve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r, v
}

func keysOf(t *testing.T, m *lm.Model, k *kernel.Engine, layer int, texts []Text) (keys, values kernel.Matrix) {
	t.Helper()
	s, err := States(m, eager.New(k), texts, nn.Place{Layer: layer, At: nn.MLPAct}, nn.Place{Layer: layer, At: nn.MLPOut})
	if err != nil {
		t.Fatal(err)
	}
	return s[0], s[1]
}

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// TestGoldenValues compares keys and every step of v* with rome_*.safetensors
// files.
func TestGoldenValues(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", "rome"), "*", "rome_*.safetensors"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".safetensors"), func(t *testing.T) {
			g := lmtest.Open(t, path, "")
			meta := g.File().Metadata()
			var h hparams
			var req request
			var templates []string
			for name, to := range map[string]any{"hparams": &h, "request": &req, "context_templates": &templates} {
				if err := json.Unmarshal([]byte(meta[name]), to); err != nil {
					t.Fatal(err)
				}
			}
			m, k := lmtest.Model(t, filepath.Join(filepath.Dir(path), meta["model"])), lmtest.Engine(t, 0)
			f, err := NewFact(m, req.request(), prefixes(t, templates), h.FactToken)
			if err != nil {
				t.Fatal(err)
			}
			ids, cols := g.Ints("k.context_ids"), g.Cols("k.context_ids")
			index := g.Ints("k.index")
			for i, p := range f.Prompts {
				sameIDs(t, "context", p.IDs, ids[i*cols:(i+1)*cols])
				if want := index[i]; want >= 0 && int(want) != p.At {
					t.Errorf("context %d: looked-up token %d, want %d", i, p.At, want)
				}
			}
			keys, values := keysOf(t, m, k, h.Layers[0], f.Prompts)
			lmtest.Near(t, "k.each", keys.Data, g.Floats("k.each"), 1e-4, 0)
			lmtest.Near(t, "k.mean", narrow(Mean(keys, 0)), g.Floats("k.mean"), 1e-4, 0)
			lmtest.Near(t, "cur_input", keys.Data[:keys.Cols], g.Floats("cur_input"), 1e-4, 0)
			lmtest.Near(t, "cur_output", values.Data[:values.Cols], g.Floats("cur_output"), 1e-4, 0)

			l := newLayout(f)
			ids, cols = g.Ints("v.input_ids"), g.Cols("v.input_ids")
			mask := g.Ints("v.attention_mask")
			lookup := g.Ints("v.lookup_index")
			for i, s := range l.seqs.Segs {
				n := 0
				for _, v := range mask[i*cols : (i+1)*cols] {
					n += int(v)
				}
				sameIDs(t, "row", l.ids[s.Q:s.Q+s.QLen], ids[i*cols:i*cols+n])
				if want := lookup[i]; want >= 0 && int(want) != int(l.at[i])-s.Q {
					t.Errorf("row %d: looked-up token %d, want %d", i, int(l.at[i])-s.Q, want)
				}
			}
			if h.FactToken == Last {
				l = paddedLast(l, int32(ids[len(ids)-1]), cols)
			}
			p, err := newProblem(m, k, l, h.Layers[0], h.settings())
			if err != nil {
				t.Fatal(err)
			}
			r, v := p.recorded(t)
			lmtest.Near(t, "v.target_init", v.Init, g.Floats("v.target_init"), 1e-4, 0)
			lmtest.Near(t, "step.delta", r.delta, g.Floats("step.delta"), 1e-4, 0)
			lmtest.Near(t, "step.nll_each", r.each, g.Floats("step.nll_each"), 1e-4, 0)
			lmtest.Near(t, "step.nll", r.nll, g.Floats("step.nll"), 1e-4, 0)
			lmtest.Near(t, "step.kl", r.kl, g.Floats("step.kl"), 2e-4, 1e-8)
			lmtest.Near(t, "step.wd", r.decay, g.Floats("step.wd"), 1e-4, 0)
			lmtest.Near(t, "step.loss", r.total, g.Floats("step.loss"), 2e-4, 1e-8)
			lmtest.Near(t, "step.grad", r.grad, g.Floats("step.grad"), 1e-4, 0)
			lmtest.Near(t, "step.delta_unclamped", r.moved, g.Floats("step.delta_unclamped"), 1e-4, 0)
			lmtest.Near(t, "v.delta", v.Delta, g.Floats("v.delta"), 1e-4, 0)
			lmtest.Near(t, "v.target", narrow(v.Target()), g.Floats("v.target"), 1e-4, 0)
			clamped := 0
			if err := json.Unmarshal([]byte(meta["clamped_steps"]), &clamped); err != nil || clamped != v.Clamped {
				t.Errorf("%d steps were projected, want %d (%v)", v.Clamped, clamped, err)
			}
		})
	}
}

// paddedLast is how the reference looks up the last token: at the end of rows
// padded to one length. The longest row's is then the last token of the target's
// start, the essence prompt's a padding token that sees the prompt but not
// itself.
func paddedLast(l *layout, pad int32, length int) *layout {
	last := len(l.seqs.Segs) - 1
	for i, s := range l.seqs.Segs[:last] {
		l.at[i] = int32(s.Q + s.QLen - 1)
	}
	s := l.seqs.Segs[last]
	row := len(l.ids)
	l.ids = append(l.ids, pad)
	l.seqs.Pos = append(l.seqs.Pos, int32(length-1))
	l.seqs.Segs = append(l.seqs.Segs, kernel.Segment{Q: row, QLen: 1, K: s.K, KLen: s.KLen})
	l.at[last], l.essence = int32(row), int32(row)
	return l
}

func sameIDs(t *testing.T, what string, got []int32, want []int64) {
	t.Helper()
	var ids []int64
	for _, id := range got {
		ids = append(ids, int64(id))
	}
	for len(want) > len(ids) && want[len(want)-1] == -1 {
		want = want[:len(want)-1]
	}
	if !slices.Equal(ids, want) {
		t.Errorf("%s: tokens %v, want %v", what, ids, want)
	}
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
		if err := json.Unmarshal(text, &parts); err != nil {
			t.Fatal(err)
		}
		var templates []string
		if err := json.Unmarshal(parts["contexts"], &templates); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(path)
		m := lmtest.Model(t, filepath.Join(dir, "model"))
		seen := 0
		for name, part := range parts {
			var run struct {
				Request request
				HParams json.RawMessage `json:"hparams"`
				IDs     [][]int64       `json:"rewriting_ids"`
				Lookup  []int
			}
			if json.Unmarshal(part, &run) != nil || run.IDs == nil {
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
				g, k := lmtest.Open(t, filepath.Join(dir, "golden.safetensors"), name+"."), lmtest.Engine(t, 0)
				f, err := NewFact(m, run.Request.request(), prefixes(t, templates), h.FactToken)
				if err != nil {
					t.Fatal(err)
				}
				l := newLayout(f)
				for i, s := range l.seqs.Segs {
					sameIDs(t, "row", l.ids[s.Q:s.Q+s.QLen], run.IDs[i])
					if int(l.at[i])-s.Q != run.Lookup[i] {
						t.Errorf("row %d: looked-up token %d, want %d", i, int(l.at[i])-s.Q, run.Lookup[i])
					}
				}
				keys, values := keysOf(t, m, k, h.Layers[0], f.Prompts)
				lmtest.Near(t, "keys", keys.Data, g.Floats("keys"), 1e-4, 0)
				lmtest.Near(t, "k_star", narrow(Mean(keys, 0)), g.Floats("k_star"), 1e-4, 0)
				lmtest.Near(t, "cur_input", keys.Data[:keys.Cols], g.Floats("cur_input"), 1e-4, 0)
				lmtest.Near(t, "cur_output", values.Data[:values.Cols], g.Floats("cur_output"), 1e-4, 0)
				p, err := newProblem(m, k, l, h.Layers[0], h.settings())
				if err != nil {
					t.Fatal(err)
				}
				r, v := p.recorded(t)
				want, d := g.Floats("delta_steps"), m.Config.Width
				lmtest.Near(t, "first delta_steps", r.moved[:3*d], want[:3*d], 1e-4, 0)
				lmtest.Near(t, "delta_steps", r.moved, want, 2e-3, 0)
				lmtest.Near(t, "grad_steps", r.grad, g.Floats("grad_steps"), 2e-3, 0)
				lmtest.Near(t, "kl_steps", r.kl, g.Floats("kl_steps"), 2e-3, 1e-8)
				lmtest.Near(t, "target", narrow(v.Target()), g.Floats("target"), 2e-3, 0)
			})
		}
		if seen == 0 {
			t.Fatalf("%s has no runs", path)
		}
	}
}

// TestGoldenResiduals compares MEMIT's search for a block's output with the runs
// of golden/memit and the first batches of golden/alphaedit.
func TestGoldenResiduals(t *testing.T) {
	for _, name := range []string{"memit", "alphaedit"} {
		for _, c := range keyvaluetest.Cases(t, name) {
			for run, part := range c.Parts {
				var r struct {
					Requests []keyvaluetest.Request
					Batches  []struct{ Requests []keyvaluetest.Request }
					HParams  json.RawMessage
				}
				prefix := run + "."
				if json.Unmarshal(part, &r) == nil && len(r.Batches) > 0 && len(r.Batches[0].Requests) > 0 {
					r.Requests, prefix = r.Batches[0].Requests, run+".batch0."
				}
				if r.Requests == nil {
					continue
				}
				t.Run(filepath.Base(c.Dir)+" "+name+" "+run, func(t *testing.T) {
					h, m, k := c.HParams(t, r.HParams), c.Model(t), lmtest.Engine(t, 0)
					s := Settings{Search: Search{Steps: h.Steps, LR: h.LR, WeightDecay: h.Decay, Clamp: h.Clamp, KL: h.KL, StopLoss: 0.05}, Residual: true, LossBlock: h.LossLayer, EditKnown: true}
					for i, req := range keyvaluetest.Requests(r.Requests) {
						f, err := NewFact(m, req, prefixes(t, c.Templates), h.FactToken)
						if err != nil {
							t.Fatal(err)
						}
						if !slices.Equal(f.Target, r.Requests[i].TargetIDs) {
							t.Errorf("request %d: target %v, want %v", i, f.Target, r.Requests[i].TargetIDs)
						}
						p, err := newProblem(m, k, newLayout(f), h.Layers[len(h.Layers)-1], s)
						if err != nil {
							t.Fatal(err)
						}
						g := c.Tensors(t, fmt.Sprintf("%sz%d.", prefix, i))
						r, v := p.recorded(t)
						lmtest.Near(t, "init", v.Init, g.Floats("init"), 1e-5, 0)
						if want := g.Floats("loss_steps"); len(want) != 4*len(r.total) {
							t.Errorf("%d forward runs, want %d", len(r.total), len(want)/4)
						} else {
							lmtest.Near(t, "first loss_steps", []float32{r.total[0], r.nll[0], r.kl[0], r.decay[0]}, want[:4], 1e-5, 0)
							last := len(r.total) - 1
							lmtest.Near(t, "last loss_steps", []float32{r.total[last], r.nll[last], r.kl[last], r.decay[last]}, want[4*last:], 2e-3, 0)
						}
						if g.Has("delta_steps") {
							want, n := g.Floats("delta_steps"), 2*m.Config.Width
							lmtest.Near(t, "first delta_steps", r.moved[:min(n, len(r.moved))], want[:min(n, len(want))], 1e-4, 0) // Adam divides by what may be small
							lmtest.Near(t, "delta_steps", r.moved, want, 2e-3, 0)
						}
						lmtest.Near(t, "z", narrow(v.Target()), g.Floats("z"), 2e-3, 0)
					}
				})
			}
		}
	}
}
