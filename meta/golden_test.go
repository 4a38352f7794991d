package meta

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/train/optim"
)

// mendSwitches are the reference's names of the switches.
type mendSwitches struct {
	OneSided  bool   `json:"one_sided"`
	Hidden    int    `json:"n_hidden"`
	Init      string `json:"init"`
	Norm      bool   `json:"norm"`
	Combine   bool   `json:"combine"`
	XOnly     bool   `json:"x_only"`
	DeltaOnly bool   `json:"delta_only"`
	Rank      int    `json:"rank"`
	Shared    bool   `json:"shared"`
}

// setup builds the objective of a case under `compat: reference`.
func (g *recorded) setup(phi *recorded) bench {
	g.t.Helper()
	var sw mendSwitches
	g.json("mend", &sw)
	cfg := hypernet.Config{Kind: "mend", Combine: sw.Combine, OneSided: sw.OneSided, XOnly: sw.XOnly, DOnly: sw.DeltaOnly,
		Norm: sw.Norm, Shared: sw.Shared, Hidden: sw.Hidden, Rank: sw.Rank, Init: sw.Init, EditLR: g.number("edit_lr")}
	oc := Config{CEdit: g.number("cedit"), CLoc: g.number("cloc"), DeltaScale: "batch_mean", Descent: g.meta["variant"] == "descent"}
	var names []string
	g.json("inner_params", &names)
	b := g.bench(cfg, oc, names)
	b.Mode.Strict = true
	b.Net.SetExact(true)
	b.load(phi)
	return b
}

// goldenName is the golden file's name of a parameter, without "phi.".
func goldenName(p string, shared bool) string {
	if shared || strings.HasPrefix(p, "edit_lrs") {
		return p
	}
	i := strings.Index(p, ".mlp.layers")
	return strings.ReplaceAll(p[:i], ".", "#") + p[i:]
}

// load reads the parameters from phi; those that it leaves out are zero.
func (b bench) load(phi *recorded) {
	phi.t.Helper()
	for i, p := range b.Net.Params() {
		v, _ := p.Values()
		if r := i - (len(b.Net.Params()) - b.Net.NumRates()); r >= 0 {
			v[0] = phi.Floats("phi.edit_lrs")[r]
			continue
		}
		name := "phi." + goldenName(p.Name, b.Net.Config.Shared)
		if phi.Has(name) {
			copy(v, phi.Floats(name))
			continue
		}
		if !strings.HasSuffix(name, ".u") {
			phi.t.Fatalf("golden file lacks %s", name)
		}
		clear(v)
	}
}

// phiFor finds the file with the parameters of a case.
func (g *recorded) phiFor() *recorded {
	if tensors := g.File().Names(); strings.Contains(strings.Join(tensors, " "), "phi.") {
		return g
	}
	model, kind := g.meta["model"], g.meta["phi"]
	return openGolden(g.t, golden.Path(g.t, "golden", "mend", model+"_"+kind+"_phi.safetensors"))
}

func (g *recorded) task(prefix string) Task {
	return Task{ID: "golden", Inner: g.texts(prefix+"in.edit_inner.", false), Outer: g.texts(prefix+"in.edit_outer.", false), Loc: g.texts(prefix+"in.loc.", true)}
}

// setNorm reads the normaliser state.
func (b bench) setNorm(g *recorded, prefix string) {
	for _, grp := range b.Net.Groups {
		p := prefix + goldenGroup(grp, b.Net.Config.Shared) + "."
		k := g.Floats(p + "k")[0]
		n := grp.Norm
		if math.IsNaN(float64(k)) {
			n.K = 0
			clear(n.Mean)
			clear(n.S)
			continue
		}
		n.K = int64(k)
		for j, v := range append(append([]float32(nil), g.Floats(p+"u_mean")...), g.Floats(p+"v_mean")...) {
			n.Mean[j] = float64(v)
		}
		for j, v := range append(append([]float32(nil), g.Floats(p+"u_s")...), g.Floats(p+"v_s")...) {
			n.S[j] = float64(v)
		}
	}
}

func goldenGroup(grp *hypernet.Group, shared bool) string {
	if shared {
		return grp.Name
	}
	return strings.ReplaceAll(grp.Name, ".", "#")
}

func (b bench) checkNorm(g *recorded, prefix string, tol float64) {
	for _, grp := range b.Net.Groups {
		p := prefix + goldenGroup(grp, b.Net.Config.Shared) + "."
		if !g.Has(p + "k") {
			continue
		}
		n := grp.Norm
		if float64(n.K) != float64(g.Floats(p + "k")[0]) {
			g.t.Errorf("%sk: %d, wanted %v", p, n.K, g.Floats(p+"k"))
		}
		mean, s := narrow(n.Mean), narrow(n.S)
		g.near(p+"u_mean", mean[:grp.In], g.Floats(p+"u_mean"), tol)
		g.near(p+"v_mean", mean[grp.In:], g.Floats(p+"v_mean"), tol)
		g.near(p+"u_s", s[:grp.In], g.Floats(p+"u_s"), tol)
		g.near(p+"v_s", s[grp.In:], g.Floats(p+"v_s"), tol)
	}
}

// checkFactors compares kept rows, u, δ, ũ, δ̃ and ΔW of the last run.
func (b bench) checkFactors(g *recorded, prefix string, tol float64) {
	m := b.g.training
	if m == nil || b.Mode.Training == false {
		m = b.g.scoring
	}
	for gi, grp := range b.Net.Groups {
		z0, z, f := m.Value(b.g.gathered[gi]), m.Value(b.g.factors[gi]), b.g.layouts[gi]
		for mode, i := range grp.Sites {
			site := b.sites[i]
			w := prefix + "w." + site.Name + "."
			kept, _ := g.ints(w + "kept")
			q := f.Blocks[mode]
			raw, new := copyDelta(z0, q, grp.In, grp.Out, 1), copyDelta(z, q, grp.In, grp.Out, 1)
			if g.Has(w + "u_raw") {
				g.near(w+"u_raw", raw.U.Data, keptRows(g.Floats(w+"u_raw"), kept, grp.In), tol)
				g.near(w+"delta_raw", raw.D.Data, keptRows(g.Floats(w+"delta_raw"), kept, grp.Out), tol)
			}
			if g.Has(w + "u_tilde") {
				g.near(w+"u_tilde", new.U.Data, g.Floats(w+"u_tilde"), tol)
				g.near(w+"delta_tilde", new.D.Data, g.Floats(w+"delta_tilde"), tol)
			}
			if g.Has(w + "dW") {
				rate, _ := b.Net.Rates[i].Values()
				new.Scale = b.Sign() * rate[0]
				g.near(w+"dW", b.update(new, site.Linear.InOut), g.Floats(w+"dW"), tol)
			}
		}
	}
}

// keptRows are the rows of x, each of width w, that are marked.
func keptRows(x []float32, kept []int64, w int) (rows []float32) {
	for r, k := range kept {
		if k != 0 {
			rows = append(rows, x[r*w:(r+1)*w]...)
		}
	}
	return rows
}

// compareGrads compares gradients with grad., grad_rows8. and grad_norm.
// arrays; it returns what is off, and how many were compared.
func (b bench) compareGrads(g *recorded, prefix string, tol float64) (faults []string, seen int) {
	near := func(name string, got []float32) {
		seen++
		if w := worst(got, g.Floats(name)); !(w <= tol) {
			faults = append(faults, fmt.Sprintf("%s: off by %.2e of the largest magnitude, allowed %.0e", name, w, tol))
		}
	}
	var rates []float32
	for p, got := range b.params(b.grads) {
		if strings.HasPrefix(p.Name, "edit_lrs") {
			rates = append(rates, got...)
			continue
		}
		name := goldenName(p.Name, b.Net.Config.Shared)
		switch {
		case g.Has(prefix + "grad." + name):
			near(prefix+"grad."+name, got)
		case g.Has(prefix + "grad_rows8." + name):
			near(prefix+"grad_rows8."+name, got[:len(g.Floats(prefix+"grad_rows8."+name))])
			near(prefix+"grad_norm."+name, []float32{float32(math.Sqrt(b.k.SumSquares(got)))})
		}
	}
	if g.Has(prefix + "grad.edit_lrs") {
		near(prefix+"grad.edit_lrs", rates)
	}
	return faults, seen
}

func (b bench) checkLosses(g *recorded, prefix string, r Outcome, tol float64) {
	g.near(prefix+"inner.loss", []float32{float32(r.Inner)}, g.Floats(prefix+"inner.loss"), tol)
	g.near(prefix+"out.loss_edit", []float32{float32(r.Edit)}, g.Floats(prefix+"out.loss_edit"), tol)
	g.near(prefix+"out.loss_total", []float32{float32(r.Total)}, g.Floats(prefix+"out.loss_total"), tol)
	g.near(prefix+"out.edit_acc", []float32{float32(r.Right)}, g.Floats(prefix+"out.edit_acc"), tol)
	g.near(prefix+"out.edit_prob", []float32{float32(r.Prob)}, g.Floats(prefix+"out.edit_prob"), tol)
	g.nearKL(prefix+"out.loss_loc", r.Loc, float64(g.Floats(prefix + "out.loss_loc")[0]), tol)
}

// overlay returns phi completed by the V of full.
func (full *recorded) overlay(phi *recorded, b bench) *recorded {
	for i, p := range b.Net.Params() {
		v, _ := p.Values()
		switch r := i - (len(b.Net.Params()) - b.Net.NumRates()); {
		case r >= 0:
			v[0] = phi.Floats("phi.edit_lrs")[r]
		case strings.HasSuffix(p.Name, ".v"):
			copy(v, full.Floats("phi."+p.Name))
		case strings.HasSuffix(p.Name, ".u"):
			clear(v)
		default:
			copy(v, phi.Floats("phi."+p.Name))
		}
	}
	return nil
}

func TestGoldenSingleSteps(t *testing.T) {
	eachGolden(t, "mend", func(n string, _ *recorded) bool {
		return !strings.Contains(n, "train") && !strings.HasSuffix(n, "_phi") && (strings.Contains(n, "_init_") || strings.Contains(n, "_pert_"))
	}, func(t *testing.T, g *recorded) {
		b := g.setupStep()
		b.setNorm(g, "norm_before.")
		var training bool
		g.json("training", &training)
		if seen := b.runCase(g, "", training); training && seen == 0 {
			t.Error("no gradient was compared")
		}
	})
}

// setupStep is setup for cases whose parameters lie in files of their own.
func (g *recorded) setupStep() bench {
	full := openGolden(g.t, golden.Path(g.t, "golden", "mend", g.meta["model"]+"_pert_phi.safetensors"))
	b := g.setup(full)
	if g.meta["phi"] == "init" {
		full.overlay(g.phiFor(), b)
	}
	return b
}

// runCase compares one step and returns how many gradients it compared.
func (b bench) runCase(g *recorded, prefix string, training bool) int {
	g.t.Helper()
	const tol = 1e-4
	var r []Outcome
	var err error
	tasks := []Task{g.task(prefix)}
	before := b.normStates()
	if training {
		r, err = b.stepKeeping(tasks)
	} else {
		r, err = b.scoreKeeping(tasks)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	b.checkLosses(g, prefix, r[0], tol)
	b.checkNorm(g, prefix+"norm_after.", tol)
	b.checkFactors(g, prefix, tol)
	if !training {
		return 0
	}
	faults, seen := b.compareGrads(g, prefix, tol)
	if len(faults) > 0 && !b.onEdge(g, prefix, tasks, before, tol) {
		g.t.Error(strings.Join(faults, "\n"))
	}
	return seen
}

// normStates copies the normalisers' states; putNormStates puts copies back.
func (b bench) normStates() []hypernet.State {
	out := make([]hypernet.State, len(b.Net.Groups))
	for i, grp := range b.Net.Groups {
		out[i] = grp.Norm.State.Clone()
	}
	return out
}

func (b bench) putNormStates(states []hypernet.State) {
	for i, grp := range b.Net.Groups {
		grp.Norm.State = states[i].Clone()
	}
}

// onEdge reports whether the gradients agree once every bias is moved by one
// millionth: then some pre-activation lies within rounding of the clamp's
// edge, where the reference and we fall on different sides.
func (b bench) onEdge(g *recorded, prefix string, tasks []Task, before []hypernet.State, tol float64) bool {
	for _, shift := range []float32{1e-6, -1e-6} {
		params := append([]float32(nil), b.Net.Flat...)
		after := b.normStates()
		for _, p := range b.Net.Params() {
			if strings.HasSuffix(p.Name, ".bias") {
				v, _ := p.Values()
				for i := range v {
					v[i] += shift
				}
			}
		}
		b.putNormStates(before)
		_, err := b.Step(tasks, b.grads, false)
		faults, _ := b.compareGrads(g, prefix, tol)
		copy(b.Net.Flat, params)
		b.putNormStates(after)
		if err == nil && len(faults) == 0 {
			g.t.Logf("%s: agrees with biases moved by %g", prefix, shift)
			return true
		}
	}
	return false
}

// stepKeeping and scoreKeeping run with the factors among the outputs.
func (b bench) stepKeeping(tasks []Task) ([]Outcome, error) {
	m, err := b.keepAll(tasks, true)
	if err != nil {
		return nil, err
	}
	b.g.training = m
	return b.Step(tasks, b.grads, false)
}

func (b bench) scoreKeeping(tasks []Task) ([]Outcome, error) {
	m, err := b.keepAll(tasks, false)
	if err != nil {
		return nil, err
	}
	b.g.scoring = m
	return b.Score(tasks)
}

func TestGoldenVariants(t *testing.T) {
	eachGolden(t, "mend", func(n string, _ *recorded) bool { return strings.Contains(n, "_variant_") }, func(t *testing.T, g *recorded) {
		b := g.setup(g)
		seen := 0
		for _, step := range []string{"step1.", "step2."} {
			seen += b.runCase(g, step, true)
		}
		if seen == 0 {
			t.Error("no gradient was compared")
		}
	})
}

func TestGoldenMetrics(t *testing.T) {
	eachGolden(t, "mend", func(n string, _ *recorded) bool { return strings.HasPrefix(n, "metrics") }, func(t *testing.T, g *recorded) {
		k := lmtest.Engine(t, 0)
		x, _ := g.File().Tensor("kl.pre")
		rows, vocab := x.Shape[0]*x.Shape[1], x.Shape[2]
		kl, p, q := make([]float32, rows), make([]float32, rows), make([]float32, rows)
		k.KL(kl, p, q, g.Floats("kl.pre"), g.Floats("kl.post"), rows, vocab)
		mask, _ := g.ints("kl.mask")
		sum, n := 0.0, 0.0
		for i, on := range mask {
			if on != 0 {
				sum += float64(kl[i])
				n++
			}
		}
		g.near("kl.value", []float32{float32(sum / n)}, g.Floats("kl.value"), 1e-4)

		labels, shape := g.ints("labels")
		nll, lse := make([]float32, rows), make([]float32, rows)
		want := make([]int32, rows)
		for i := range want {
			want[i] = -1
			if i%shape[1]+1 < shape[1] && labels[i+1] >= 0 {
				want[i] = int32(labels[i+1])
			}
		}
		k.CrossEntropy(nll, lse, g.Floats("logits"), want, rows, vocab)
		sum, n = 0, 0
		for i, l := range want {
			if l >= 0 {
				sum += float64(nll[i])
				n++
			}
		}
		g.near("all.nll", []float32{float32(sum / n)}, g.Floats("all.nll"), 1e-4)
		g.near("all.n_tokens", []float32{float32(n)}, g.Floats("all.n_tokens"), 0)
	})
}

// edits reads the rows of the synthetic edits.
func edits(t *testing.T) (get func(part string, row int) []int32) {
	g := openGolden(t, golden.Path(t, "golden", "mend", "edits.safetensors"))
	return func(part string, row int) []int32 {
		v, shape := g.ints(part)
		var ids []int32
		for _, id := range v[row*shape[1] : (row+1)*shape[1]] {
			if id >= 0 {
				ids = append(ids, int32(id))
			}
		}
		return ids
	}
}

// answerText is prompt and target with labels on the target.
func answerText(prompt, target []int32) text.Text {
	t := text.Text{IDs: append(append([]int32(nil), prompt...), target...)}
	for i := range t.IDs {
		l := int32(-1)
		if i+1 >= len(prompt) && i+1 < len(t.IDs) {
			l = t.IDs[i+1]
		}
		t.Labels = append(t.Labels, l)
	}
	return t
}

func trainingTask(get func(string, int) []int32, i, n int) Task {
	t := Task{ID: fmt.Sprint(i)}
	for r := i * n; r < (i+1)*n; r++ {
		t.Inner = append(t.Inner, answerText(get("prompt", r), get("target", r)))
		t.Outer = append(t.Outer, answerText(get("rephrase", r), get("target", r)))
	}
	loc := text.Text{IDs: get("loc", i*n)}
	loc.Labels = make([]int32, len(loc.IDs))
	t.Loc = []text.Text{loc}
	return t
}

func TestGoldenTraining(t *testing.T) {
	get := edits(t)
	eachGolden(t, "mend", func(n string, _ *recorded) bool { return strings.Contains(n, "_train") }, func(_ *testing.T, g *recorded) {
		if g.phiFor() == g {
			g.train(g.setup(g), get)
		} else {
			g.train(g.setupStep(), get)
		}
	})
}

// train repeats a golden run and compares curves, norms and parameters.
func (g *recorded) train(b bench, get func(string, int) []int32) {
	const tol = 1e-4
	n, window := int(g.number("n_edits")), int(g.number("accumulate_bs"))
	outer := optim.Outer{LR: g.number("lr"), RateLR: g.number("lr"), Rates: b.Net.NumRates(), Divisor: window, Clip: g.number("grad_clip")}
	var fixed bool
	g.json("patched_lr_order", &fixed)
	if fixed {
		outer.RateLR = g.number("lr_lr")
	}
	if g.number("first_global_iter") == 0 {
		window++ // the reference's first window
	}
	slack := tol
	if outer.LR > 1e-4 {
		slack = 5e-4
	}
	out, norms := b.train(g, outer, window, func(batch int) Task { return trainingTask(get, batch, n) }, func(step int) {
		b.checkParams(g, fmt.Sprintf("params_after_step%d", step), slack)
		b.checkNorm(g, fmt.Sprintf("norm_after_step%d.", step), tol)
	})
	loc := g.Floats("curve.loss_loc")
	g.near("curve.loss_edit", curve(out, func(o Outcome) float64 { return o.Edit }), g.Floats("curve.loss_edit"), tol)
	g.near("curve.loss_loc", curve(out, func(o Outcome) float64 { return o.Loc }), loc, math.Max(tol, 1e-6/float64(largest(loc))))
	g.near("curve.loss_total", curve(out, func(o Outcome) float64 { return o.Total }), g.Floats("curve.loss_total"), tol)
	g.near("grad_norm", norms, g.Floats("grad_norm"), tol)
}

func (b bench) checkParams(g *recorded, prefix string, tol float64) {
	seen := 0
	var rates []float32
	for p, got := range b.params(b.Net.Flat) {
		if strings.HasPrefix(p.Name, "edit_lrs") {
			rates = append(rates, got...)
			continue
		}
		for _, name := range []string{prefix + "." + goldenName(p.Name, b.Net.Config.Shared), prefix + "_rows8." + goldenName(p.Name, b.Net.Config.Shared)} {
			if !g.Has(name) {
				continue
			}
			seen++
			want := g.Floats(name)
			if w := settled(got[:len(want)], want); !(w <= tol) {
				g.t.Errorf("%s: off by %.2e, allowed %.0e", name, w, tol)
			}
		}
	}
	if g.Has(prefix + ".edit_lrs") {
		seen++
		g.near(prefix+".edit_lrs", rates, g.Floats(prefix+".edit_lrs"), tol)
	}
	if seen > 0 {
		g.t.Logf("%s: %d arrays", prefix, seen)
	}
}
