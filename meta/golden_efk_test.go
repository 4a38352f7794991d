package meta

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/train/optim"
)

// efkCases are the golden files of KE whose names match.
func efkCases(t *testing.T, match func(g *recorded) bool, test func(t *testing.T, g *recorded)) {
	t.Helper()
	paths, err := filepath.Glob(golden.Path(t, "golden", "efk", "*.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range paths {
		g := openGolden(t, p)
		if g.meta["inner_params"] == "" || !match(g) {
			continue
		}
		n++
		t.Run(strings.TrimSuffix(filepath.Base(p), ".safetensors"), func(t *testing.T) {
			g.t = t
			test(t, g)
		})
	}
	if n == 0 {
		t.Fatal("no golden case found")
	}
}

func (g *recorded) setupEFK() bench {
	g.t.Helper()
	m, err := lm.Load(golden.Path(g.t, "golden", "mend", g.meta["model"]))
	if err != nil {
		g.t.Fatal(err)
	}
	var names []string
	g.json("inner_params", &names)
	sites, err := m.FindSites(names)
	if err != nil {
		g.t.Fatal(err)
	}
	cfg := hypernet.Default()
	cfg.Kind, cfg.ConditionDim, cfg.ConditionHidden, cfg.MaxScale = "efk", int(g.number("condition_dim")), int(g.number("hidden_dim")), g.number("max_scale")
	table, err := m.TokenTable().Values()
	if err != nil {
		g.t.Fatal(err)
	}
	words := &hypernet.Words{Table: table, Rows: m.TokenTable().Rows, Cols: m.TokenTable().Cols}
	var ns []hypernet.Site
	for _, s := range sites {
		ns = append(ns, hypernet.Site{Name: s.Name, In: s.Linear.In, Out: s.Linear.Out})
		words.InOut = append(words.InOut, s.Linear.InOut)
	}
	net, err := hypernet.NewReading(cfg, ns, words, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		g.t.Fatal(err)
	}
	e, err := kernel.New(kernel.Options{})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(e.Close)
	o, err := New(Config{CEdit: g.number("cedit"), CLoc: g.number("cloc"), DeltaScale: "batch_mean"}, m, sites, net, e, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	o.Mode.Strict = true
	b := bench{o, make([]float32, len(net.Flat))}
	for _, p := range net.Params() {
		if !g.Has("phi." + p.Name) {
			if p.Name != "condition.embedding.weight" {
				g.t.Fatalf("golden file lacks %s", p.Name)
			}
			continue
		}
		v, _ := p.Values()
		copy(v, g.Floats("phi."+p.Name))
	}
	return b
}

// efkTask is the task at prefix; a case may leave out what is scored.
func (g *recorded) efkTask(prefix string) Task {
	t := Task{ID: "golden", Inner: g.texts(prefix+"edit_inner.", false)}
	if g.Has(prefix + "edit_outer.input_ids") {
		t.Outer, t.Loc = g.texts(prefix+"edit_outer.", false), g.texts(prefix+"loc.", true)
	}
	ids, _ := g.ints(prefix + "cond.input_ids")
	mask, _ := g.ints(prefix + "cond.attention_mask")
	for i, id := range ids {
		if mask[i] != 0 {
			t.Condition = append(t.Condition, int32(id))
		}
	}
	return t
}

// changes are what rows make of the sites' weights, as they are stored.
func (b bench) changes(rows [][]Rows) [][]float32 {
	out := make([][]float32, len(rows))
	for i := range rows {
		l, r := b.sites[i].Linear, rows[i][0]
		w := make([]float32, l.In*l.Out)
		b.e.Scale(r.D.Data, r.Scale)
		if l.InOut {
			b.e.Gemm(kernel.Mat(w, l.In, l.Out), kernel.Product{A: r.U, TransA: true, B: r.D})
		} else {
			b.e.Gemm(kernel.Mat(w, l.Out, l.In), kernel.Product{A: r.D, TransA: true, B: r.U})
		}
		out[i] = w
	}
	return out
}

func (b bench) compareEFK(g *recorded, prefix string, got []float32, tol float64, off func(got, want []float32) float64) int {
	g.t.Helper()
	at, seen := 0, 0
	for _, p := range b.Net.Params() {
		mine := got[at : at+p.Len()]
		at += p.Len()
		if !g.Has(prefix + p.Name) {
			continue
		}
		seen++
		if w := off(mine, g.Floats(prefix+p.Name)); !(w <= tol) {
			g.t.Errorf("%s%s: off by %.2e of the largest magnitude, allowed %.0e", prefix, p.Name, w, tol)
		}
	}
	return seen
}

func TestGoldenEFKSteps(t *testing.T) {
	efkCases(t, func(g *recorded) bool { return g.Has("out.loss_edit") }, func(t *testing.T, g *recorded) {
		b := g.setupEFK()
		task := g.efkTask("in.")
		rows, err := b.Rows([]Task{task})
		if err != nil {
			t.Fatal(err)
		}
		for i, dw := range b.changes(rows) {
			g.near("dW of "+b.sites[i].Name, dw, g.Floats("w."+b.sites[i].Name+".dW"), 1e-4)
		}
		out, err := b.Step([]Task{task}, b.grads, false)
		if err != nil {
			t.Fatal(err)
		}
		b.checkLosses(g, "", out[0], 1e-4)
		tol := 1e-4
		if g.meta["phi"] == "init" {
			tol = 1e-3
		}
		if seen := b.compareEFK(g, "grad.", b.grads, tol, worst); seen == 0 && g.meta["case"] != "eval" {
			t.Error("no gradient was compared")
		}
	})
}

func TestGoldenEFKTraining(t *testing.T) {
	efkCases(t, func(g *recorded) bool { return g.meta["batches"] != "" }, func(t *testing.T, g *recorded) {
		b := g.setupEFK()
		accumulate := int(g.number("accumulate_bs"))
		outer := optim.Outer{LR: g.number("lr"), RateLR: g.number("lr"), Divisor: accumulate, Clip: g.number("grad_clip")}
		state := optim.NewState(len(b.Net.Flat))
		var edit, norms []float32
		window := accumulate + 1 // the reference's first
		for at := 0; at < int(g.number("batches")); {
			var tasks []Task
			for ; len(tasks) < window && at < int(g.number("batches")); at++ {
				tasks = append(tasks, g.efkTask(fmt.Sprintf("in%d.", at)))
			}
			out, err := b.Step(tasks, b.grads, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range out {
				edit = append(edit, float32(o.Edit))
			}
			if len(tasks) < window {
				break
			}
			window = accumulate
			norm := outer.Norm(b.e, b.grads)
			norms = append(norms, float32(norm))
			outer.Step(b.e, b.Net.Flat, b.grads, norm, &state)
			b.compareEFK(g, fmt.Sprintf("params_after_step%d.", state.Steps), b.Net.Flat, 1e-3, settled)
		}
		g.near("curve.loss_edit", edit, g.Floats("curve.loss_edit"), 1e-3)
		g.near("grad_norm", norms, g.Floats("grad_norm"), 1e-3)
	})
}

func TestGoldenEFKSequence(t *testing.T) {
	efkCases(t, func(g *recorded) bool { return g.Has("turn1.nll") }, func(t *testing.T, g *recorded) {
		b := g.setupEFK()
		for turn := 1; g.Has(fmt.Sprintf("turn%d.nll", turn)); turn++ {
			rows, err := b.Rows([]Task{g.efkTask(fmt.Sprintf("in%d.", turn-1))})
			if err != nil {
				t.Fatal(err)
			}
			for i, dw := range b.changes(rows) {
				name := fmt.Sprintf("turn%d.w.%s.dW", turn, b.sites[i].Name)
				g.near(name, dw, g.Floats(name), 5e-4)
				p, _ := b.model.Param(b.sites[i].Name)
				v, err := p.Values()
				if err != nil {
					t.Fatal(err)
				}
				next := append([]float32(nil), v...)
				b.e.AddTo(next, dw)
				if _, err := p.Replace(next); err != nil {
					t.Fatal(err)
				}
			}
			nll := g.Floats(fmt.Sprintf("turn%d.nll", turn))
			for k := range nll { // of the edits so far, in the model as it is now
				out, err := b.Score([]Task{scored(g.efkTask(fmt.Sprintf("in%d.", k)))})
				if err != nil {
					t.Fatal(err)
				}
				if d := math.Abs(out[0].Inner - float64(nll[k])); d > 5e-4*float64(nll[k]) {
					t.Errorf("turn %d: loss of edit %d is %g, wanted %g", turn, k+1, out[0].Inner, nll[k])
				}
			}
		}
	})
}

// scored is a task whose edit is scored, too.
func scored(t Task) Task {
	t.Outer, t.Loc = t.Inner, t.Inner
	return t
}
