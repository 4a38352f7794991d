package meta

import (
	"fmt"
	"math"
	"testing"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/train/optim"
)

// efkCases are the golden files of KE that match.
func efkCases(t *testing.T, match func(g *recorded) bool, test func(t *testing.T, g *recorded)) {
	t.Helper()
	eachGolden(t, "efk", func(_ string, g *recorded) bool { return g.meta["inner_params"] != "" && match(g) }, test)
}

func (g *recorded) setupEFK() bench {
	g.t.Helper()
	cfg := hypernet.Default()
	cfg.Kind, cfg.ConditionDim, cfg.ConditionHidden, cfg.MaxScale = "efk", int(g.number("condition_dim")), int(g.number("hidden_dim")), g.number("max_scale")
	var names []string
	g.json("inner_params", &names)
	b := g.bench(cfg, Config{CEdit: g.number("cedit"), CLoc: g.number("cloc"), DeltaScale: "batch_mean"}, names)
	b.Mode.Strict = true
	for p, v := range b.params(b.Net.Flat) {
		if g.Has("phi." + p.Name) {
			copy(v, g.Floats("phi."+p.Name))
		} else if p.Name != "condition.embedding.weight" {
			g.t.Fatalf("golden file lacks %s", p.Name)
		}
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
		out[i] = b.update(rows[i][0].Delta, b.sites[i].Linear.InOut)
	}
	return out
}

func (b bench) compareEFK(g *recorded, prefix string, got []float32, tol float64, off func(got, want []float32) float64) int {
	g.t.Helper()
	seen := 0
	for p, mine := range b.params(got) {
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
		outer := optim.Outer{LR: g.number("lr"), RateLR: g.number("lr"), Divisor: int(g.number("accumulate_bs")), Clip: g.number("grad_clip")}
		window := outer.Divisor + 1 // the reference's first
		out, norms := b.train(g, outer, window, func(batch int) Task { return g.efkTask(fmt.Sprintf("in%d.", batch)) }, func(step int) {
			b.compareEFK(g, fmt.Sprintf("params_after_step%d.", step), b.Net.Flat, 1e-3, settled)
		})
		g.near("curve.loss_edit", curve(out, func(o Outcome) float64 { return o.Edit }), g.Floats("curve.loss_edit"), 1e-3)
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
				b.install(t, i, dw)
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
