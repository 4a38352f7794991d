package meta

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/train/optim"
)

// ridgeSwitches are the names of the switches of MALMEN, RLEdit and UltraEdit.
type ridgeSwitches struct {
	Name      string  `json:"name"`
	Rank      int     `json:"rank"`
	Blocks    int     `json:"n_blocks"`
	LR        float64 `json:"lr"`
	MetaLR    float64 `json:"meta_lr"`
	LocCoef   float64 `json:"loc_coef"`
	Clip      float64 `json:"max_grad_norm"`
	Token     string  `json:"token"`
	BackDepth int     `json:"back_depth"`
	TimeDecay float64 `json:"time_decay"`
}

// ridgeCases are the golden files of a folder that have edited weights and match.
func ridgeCases(t *testing.T, folder string, match func(g *recorded) bool, test func(t *testing.T, g *recorded)) {
	t.Helper()
	eachGolden(t, folder, func(_ string, g *recorded) bool { return g.meta["edit_modules"] != "" && match(g) }, test)
}

// setupRidge builds the objective of a case; norm is reference's unless the case
// was made with the true scatter.
func (g *recorded) setupRidge() (bench, ridgeSwitches) {
	g.t.Helper()
	var names []string
	g.json("edit_modules", &names)
	for i := range names {
		names[i] += ".weight"
	}
	var sw ridgeSwitches
	g.json("editor", &sw)
	cfg := hypernet.Default()
	cfg.Kind, cfg.Rank, cfg.Hidden, cfg.EditLR, cfg.StdFloor = "malmen", max(sw.Rank, 1), max(sw.Blocks-1, 0), sw.LR, 0
	u := &cfg.Update
	u.Rule, u.Values, u.Ridge, u.LearnRidge = hypernet.Solve, hypernet.Product, 1, true
	switch sw.Name {
	case "mend":
		*u = hypernet.DefaultUpdate()
	case "ultraedit":
		cfg.Kind, u.Values, u.LearnRidge = "normalised", hypernet.Square, false
	}
	if sw.Token == "ans" {
		u.Rows = hypernet.AnswerRows
	}
	patches := g.meta["patches"]
	b := g.bench(cfg, Config{CEdit: 1, CLoc: sw.LocCoef, DeltaScale: "batch_mean", Descent: true,
		Short: sw.Name != "malmen" && sw.Name != "mend" && !strings.Contains(patches, " // "),
		Late:  g.meta["turns"] != "" && sw.Name != "ultraedit" && !strings.Contains(patches, "tot_loss_loc.backward() -> pass")}, names)
	b.Mode.Strict = !strings.Contains(patches, "unbiased")
	b.Net.SetExact(b.Mode.Strict)
	return b, sw
}

// ridgeParam is a parameter as the reference has it: its name, and whether the
// reference's is transposed; row is that of the mode it belongs to, or −1.
func ridgeParam(n *hypernet.Net, name string) (golden string, transposed bool, row int) {
	for _, grp := range n.Groups {
		if rest, ok := strings.CutPrefix(name, grp.Name+".mlp.layers."); ok {
			block, part, _ := strings.Cut(rest, ".")
			switch part {
			case "u":
				return fmt.Sprintf("%s.blocks.%s.B", grp.Name, block), true, -1
			case "v":
				return fmt.Sprintf("%s.blocks.%s.A", grp.Name, block), true, -1
			case "mode_scale.weight":
				part = "scale.weight"
			case "mode_shift.weight":
				part = "shift.weight"
			}
			return fmt.Sprintf("%s.blocks.%s.%s", grp.Name, block, part), false, -1
		}
		for mode, i := range grp.Sites {
			switch name {
			case "log_ridge." + n.Sites[i].Name:
				return grp.Name + ".lamda.weight", false, mode
			case "edit_lrs." + n.Sites[i].Name:
				return grp.Name + ".lr.weight", false, mode
			}
		}
	}
	return "", false, -1
}

// ridgeValues is the reference's array of a parameter in our layout.
func (b bench) ridgeValues(g *recorded, prefix, name string, rows, cols int) (v []float32, has bool) {
	key, transposed, row := ridgeParam(b.Net, name)
	if !g.Has(prefix + key) {
		return nil, false
	}
	v = g.Floats(prefix + key)
	switch {
	case row >= 0:
		return v[row : row+1], true
	case transposed:
		return transpose(v, rows, cols), true
	}
	return v, true
}

// transpose is [cols, rows] as [rows, cols].
func transpose(x []float32, rows, cols int) []float32 {
	t := make([]float32, len(x))
	for i := range rows {
		for j := range cols {
			t[i*cols+j] = x[j*rows+i]
		}
	}
	return t
}

func (b bench) loadRidge(g *recorded, prefix string) {
	g.t.Helper()
	for p, v := range b.params(b.Net.Flat) {
		want, ok := b.ridgeValues(g, prefix, p.Name, p.Rows, p.Cols)
		if !ok {
			if b.Net.Config.Kind == "normalised" {
				continue
			}
			g.t.Fatalf("golden file lacks %s of %s", prefix, p.Name)
		}
		copy(v, want)
	}
}

// compareRidge compares params, or their gradients, with the arrays of a prefix.
func (b bench) compareRidge(g *recorded, prefix string, got []float32, tol float64, off func(got, want []float32) float64) int {
	g.t.Helper()
	seen := 0
	for p, mine := range b.params(got) {
		key, _, row := ridgeParam(b.Net, p.Name)
		want, ok := b.ridgeValues(g, prefix, p.Name, p.Rows, p.Cols)
		if !ok {
			continue
		}
		seen++
		w := off(mine, want)
		if row >= 0 { // a row of an array: beside the array's largest magnitude
			d := math.Abs(float64(mine[0] - want[0]))
			w = d / math.Max(float64(largest(g.Floats(prefix+key))), 1e-12)
		}
		allowed := tol
		if row >= 0 {
			allowed = max(tol, 5e-4) // one number, the sum of many of either sign
		}
		if !(w <= allowed) {
			g.t.Errorf("%s%s of %s: off by %.2e of the largest magnitude, allowed %.0e", prefix, key, p.Name, w, allowed)
		}
	}
	return seen
}

// ridgeTexts are the mini-batches of a part, whose labels stand where they are
// predicted.
func (g *recorded) ridgeTexts(prefix string, answer bool) (batches [][]text.Text) {
	for i := 0; g.Has(fmt.Sprintf("%s%d.input_ids", prefix, i)); i++ {
		p := fmt.Sprintf("%s%d.", prefix, i)
		texts := g.read(p, func(labels []int64, c int) int32 { return int32(max(labels[c], -1)) })
		for i := range texts {
			if !answer {
				break
			}
			if err := Mark(nil, &texts[i], hypernet.AnswerRows, "", "", ""); err != nil {
				g.t.Fatal(err)
			}
		}
		batches = append(batches, texts)
	}
	return batches
}

// ridgeTask is the task of the facts at prefix.
func (g *recorded) ridgeTask(prefix string, answer bool) Task {
	t := Task{ID: "golden"}
	inner, outer, loc := g.ridgeTexts(prefix+"edit.", answer), g.ridgeTexts(prefix+"equiv.", false), g.ridgeTexts(prefix+"unrel.", false)
	for i := range inner {
		t.Inner, t.Outer, t.Loc = append(t.Inner, inner[i]...), append(t.Outer, outer[i]...), append(t.Loc, loc[i]...)
		t.Parts = append(t.Parts, Part{len(inner[i]), len(outer[i]), len(loc[i]), 1})
	}
	return t
}

func (b bench) checkPooled(g *recorded, prefix string) {
	g.t.Helper()
	for _, grp := range b.Net.Groups {
		p := prefix + grp.Name + "."
		if g.Has(p + "normalizer.n") {
			p += "normalizer."
		}
		if !g.Has(p + "n") {
			continue
		}
		if float64(grp.Norm.K) != float64(g.Floats(p + "n")[0]) {
			g.t.Errorf("%sn: %d, wanted %v", p, grp.Norm.K, g.Floats(p+"n"))
		}
		g.near(p+"mean", narrow(grp.Norm.Mean), g.Floats(p+"mean"), 1e-5)
		g.near(p+"var", narrow(grp.Norm.S), g.Floats(p+"var"), 1e-5)
	}
}

func (b bench) setPooled(g *recorded, prefix string) {
	for _, grp := range b.Net.Groups {
		p := prefix + grp.Name + ".normalizer."
		if !g.Has(p + "n") {
			continue
		}
		grp.Norm.K = int64(g.Floats(p + "n")[0])
		for j, v := range g.Floats(p + "mean") {
			grp.Norm.Mean[j], grp.Norm.S[j] = float64(v), float64(g.Floats(p + "var")[j])
		}
	}
}

// keeping runs task with what keepAll keeps.
func (b bench) keeping(t Task, gradients bool) (*graph.Machine, error) {
	b.Mode.Training = true
	m, err := b.keepAll([]Task{t}, gradients)
	if err != nil {
		return nil, err
	}
	if gradients {
		nodes := b.g.grads
		for _, part := range b.params(b.grads) {
			m.Bind(nodes[0], part)
			nodes = nodes[1:]
		}
	}
	return m, b.run(m, false)
}

func (b bench) outcome(t *testing.T, m *graph.Machine, task Task) Outcome {
	t.Helper()
	out, err := b.outcomes(m, []Task{task})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

// checkRidgeRows compares rows, factors, values and updates with the arrays of a
// prefix, and returns the updates, [in, out], by site.
func (b bench) checkRidgeRows(g *recorded, m *graph.Machine, prefix string, tol float64) [][]float32 {
	g.t.Helper()
	updates := make([][]float32, len(b.sites))
	for gi, grp := range b.Net.Groups {
		z0, z, made, f := m.Value(b.g.gathered[gi]), m.Value(b.g.values[gi]), m.Value(b.g.factors[gi]), b.g.layouts[gi]
		for mode, i := range grp.Sites {
			w := prefix + "w." + strings.TrimSuffix(b.sites[i].Name, ".weight") + "."
			q := f.Blocks[mode]
			rate, _ := b.Net.Rates[i].Values()
			raw, tilde, rows := copyDelta(z0, q, grp.In, grp.Out, 1), copyDelta(z, q, grp.In, grp.Out, 1), copyDelta(made, q, grp.In, grp.Out, b.Sign()*rate[0])
			s := b.update(rows, true)
			updates[i] = s
			for name, got := range map[string][]float32{"u": raw.U.Data, "delta": raw.D.Data, "u_tilde": tilde.U.Data, "delta_tilde": tilde.D.Data,
				"u_hat": tilde.U.Data, "delta_hat": tilde.D.Data, "d": rows.D.Data, "S": s} {
				if g.Has(w+name) && (name != "d" || b.Net.Config.Update.Rule == hypernet.Solve) {
					allowed := tol
					if name == "S" {
						allowed *= 2
					}
					g.near(w+name, got, g.Floats(w+name), allowed)
				}
			}
		}
	}
	return updates
}

func isNaN(x []float32) bool { return len(x) > 0 && math.IsNaN(float64(x[0])) }

func TestGoldenMALMEN(t *testing.T) {
	ridgeCases(t, "malmen", func(g *recorded) bool { return g.meta["steps"] == "" }, func(t *testing.T, g *recorded) {
		b, sw := g.setupRidge()
		b.loadRidge(g, "phi.")
		b.setPooled(g, "norm_before.")
		task := g.ridgeTask("in.", sw.Token == "ans")
		m, err := b.keeping(task, true)
		if isNaN(g.Floats("grad_norm")) { // where the reference has no numbers, we have an error
			if err == nil {
				t.Error("no error for a part of one row")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		tol, gradTol := 1e-4, 1e-4
		if len(task.Inner) == 1 {
			gradTol = 5e-4
		}
		b.checkPooled(g, "norm_after.")
		b.checkRidgeRows(g, m, "", tol)
		r := b.outcome(t, m, task)
		n := float64(len(task.Parts))
		g.near("out.gen_loss", []float32{float32(r.Edit * n)}, []float32{sum(g.Floats("out.gen_loss"))}, tol)
		g.nearKL("after.unrel_kl", r.Loc*n, float64(sum(g.Floats("after.unrel_kl"))), tol)
		if b.compareRidge(g, "grad.", b.grads, gradTol, worst) == 0 {
			t.Error("no gradient was compared")
		}
		if g.Has("phi_after." + b.Net.Groups[0].Name + ".blocks.0.A") {
			state := optim.NewState(len(b.Net.Flat))
			b.stepRidge(sw, b.grads, &state)
			b.compareRidge(g, "phi_after.", b.Net.Flat, tol, settled)
		}
	})
}

func sum(x []float32) float32 {
	s := 0.0
	for _, v := range x {
		s += float64(v)
	}
	return float32(s)
}

// stepRidge is the reference's step of Adam behind its clipping.
func (b bench) stepRidge(sw ridgeSwitches, grads []float32, state *optim.State) float64 {
	outer := optim.Outer{LR: sw.MetaLR, RateLR: sw.MetaLR, Rates: b.Net.NumRates(), Divisor: 1, Clip: sw.Clip}
	norm := outer.Norm(b.k, grads)
	outer.Step(b.k, b.Net.Flat, grads, norm, state)
	return norm
}

func TestGoldenMALMENTraining(t *testing.T) {
	ridgeCases(t, "malmen", func(g *recorded) bool { return g.meta["steps"] != "" }, func(t *testing.T, g *recorded) {
		b, sw := g.setupRidge()
		b.loadRidge(g, "phi.")
		state := optim.NewState(len(b.Net.Flat))
		var gen, norms []float32
		steps := int(g.number("steps"))
		parts := 0
		for s := 1; s <= steps; s++ {
			task := g.ridgeTask(fmt.Sprintf("in.step%d.", s), sw.Token == "ans")
			parts = len(task.Parts)
			out, err := b.Step([]Task{task}, b.grads, false)
			if err != nil {
				t.Fatal(err)
			}
			gen = append(gen, float32(out[0].Edit))
			norms = append(norms, float32(b.stepRidge(sw, b.grads, &state)))
			b.checkPooled(g, fmt.Sprintf("norm_after_step%d.", s))
			b.compareRidge(g, fmt.Sprintf("phi_after_step%d.", s), b.Net.Flat, 5e-4, settled)
		}
		want := make([]float32, steps)
		for i, v := range g.Floats("curve.gen_loss") {
			want[i/parts] += v / float32(parts)
		}
		g.near("curve.gen_loss", gen, want, 1e-4)
		g.near("curve.grad_norm", norms, g.Floats("curve.grad_norm"), 5e-4)
	})
}

// installAll adds updates, [in, out] by site, to the weights.
func (b bench) installAll(t *testing.T, updates [][]float32) {
	t.Helper()
	for i, dw := range updates {
		if l := b.sites[i].Linear; !l.InOut {
			dw = transpose(dw, l.Out, l.In)
		}
		b.install(t, i, dw)
	}
}

func TestGoldenUltraEdit(t *testing.T) {
	ridgeCases(t, "ultraedit", func(*recorded) bool { return true }, func(t *testing.T, g *recorded) {
		b, sw := g.setupRidge()
		b.playTurns(g, "", sw, func(turn int, m *graph.Machine, task Task) {
			r := b.outcome(t, m, task)
			n := float64(len(task.Parts))
			p := fmt.Sprintf("turn%d.", turn)
			g.near(p+"after.equiv_nll", []float32{float32(r.Edit * n)}, []float32{sum(g.Floats(p + "after.equiv_nll"))}, 5e-4)
			g.nearKL(p+"after.unrel_kl", r.Loc*n, float64(sum(g.Floats(p+"after.unrel_kl"))), 5e-4)
		})
		for i, s := range b.sites {
			name := "W_final." + strings.TrimSuffix(s.Name, ".weight")
			if !g.Has(name) {
				continue
			}
			_, v := b.weight(t, i)
			g.near(name, v, g.Floats(name), 1e-4)
		}
	})
}

// playTurns edits turn after turn, each on the model that the one before left,
// until the reference's numbers are none any more, where we have an error.
func (b bench) playTurns(g *recorded, stage string, sw ridgeSwitches, behind func(turn int, m *graph.Machine, task Task)) {
	g.t.Helper()
	for turn := 1; turn <= int(g.number("turns")); turn++ {
		p := fmt.Sprintf("%sturn%d.", stage, turn)
		task := g.ridgeTask(fmt.Sprintf("in.%sturn%d.", stage, turn), sw.Token == "ans")
		if len(task.Inner) == 0 {
			break
		}
		m, err := b.keeping(task, false)
		if first := p + "norm_after." + b.Net.Groups[0].Name + "."; g.Has(first+"var") && isNaN(g.Floats(first+"var")) {
			if err == nil {
				g.t.Errorf("turn %d: no error for a part of one row", turn)
			}
			return
		}
		if err != nil {
			g.t.Fatal(err)
		}
		tol := 1e-4
		if turn > 1 {
			tol = 5e-4 // the weights that the rows depend on have been rounded before
		}
		b.checkPooled(g, p+"norm_after.")
		updates := b.checkRidgeRows(g, m, p, tol)
		behind(turn, m, task)
		b.installAll(g.t, updates)
	}
}

// TestGoldenRLEdit plays the reference's training sequence, with its look back at
// earlier turns, and then edits the base model in another one.
func TestGoldenRLEdit(t *testing.T) {
	ridgeCases(t, "rledit", func(*recorded) bool { return true }, func(t *testing.T, g *recorded) {
		b, sw := g.setupRidge()
		b.loadRidge(g, "phi.")
		patches := g.meta["patches"]
		run := &sequenceRun{g: g, b: b, sw: sw, each: strings.Contains(patches, "param_shifts, True"), state: optim.NewState(len(b.Net.Flat)),
			sum: make([]float32, len(b.Net.Flat))}
		run.train()
		if !g.Has("eval.turn1.w." + strings.TrimSuffix(b.sites[0].Name, ".weight") + ".u") {
			return
		}
		after, _ := g.setupRidge() // the base model again
		after.loadRidge(g, "phi_after.")
		for i, grp := range b.Net.Groups {
			after.Net.Groups[i].Norm.State = grp.Norm.State.Clone()
		}
		after.playTurns(g, "eval.", sw, func(int, *graph.Machine, Task) {})
	})
}

// sequenceRun is RLEdit's training.
type sequenceRun struct {
	g     *recorded
	b     bench
	sw    ridgeSwitches
	each  bool // a step of the optimiser at each turn
	state optim.State
	sum   []float32
	tasks []Task
}

// lookBack is the last task with the texts of those before it, the older the
// lighter.
func (r *sequenceRun) lookBack() Task {
	last := len(r.tasks) - 1
	before := slices.Clone(r.tasks[max(0, last+1-r.sw.BackDepth):last])
	slices.Reverse(before)
	return r.tasks[last].LookBack(before, r.sw.TimeDecay)
}

// looks adds the mean losses of all parts up, whatever they weigh.
func (b bench) looks(m *graph.Machine, task Task) (edit, loc float32) {
	outer, away := m.Value(b.g.outerS.Rows), m.Value(b.g.locS.Rows)
	outers, locs, at, an := task.Outer, task.Loc, 0, 0
	for _, p := range task.Parts {
		n, k := text.Wanted(outers[:p.Outer]), text.Wanted(locs[:p.Loc])
		e, _ := mean(outer, at, n)
		l, _ := mean(away, an, k)
		edit, loc = edit+float32(e), loc+float32(l)
		outers, locs, at, an = outers[p.Outer:], locs[p.Loc:], at+n, an+k
	}
	return edit, loc
}

func (r *sequenceRun) train() {
	g, b := r.g, r.b
	g.t.Helper()
	unclipped := r.sw // what is given to the optimiser has been clipped
	unclipped.Clip = 1e9
	var gen, loc []float32
	read := true // whether the reference's gradients are those of what it predicted
	for turn := 1; turn <= int(g.number("turns")); turn++ {
		p := fmt.Sprintf("turn%d.", turn)
		r.tasks = append(r.tasks, g.ridgeTask("in."+p, r.sw.Token == "ans"))
		task := r.lookBack()
		m, err := b.keeping(task, true)
		if err != nil {
			g.t.Fatal(err)
		}
		read = read && !slices.Contains(b.Mode.Unread, true)
		tol := 1e-4
		if turn > 1 {
			tol = 5e-4
		}
		b.checkPooled(g, p+"norm_after.")
		updates := b.checkRidgeRows(g, m, p, tol)
		e, l := b.looks(m, task)
		looks := float32(min(turn, r.sw.BackDepth))
		gen, loc = append(gen, e/looks), append(loc, l*float32(r.sw.LocCoef)/looks)
		if r.each {
			clear(r.sum)
		}
		for i, v := range b.grads {
			r.sum[i] += v
		}
		norm := math.Sqrt(b.k.SumSquares(r.sum))
		if read {
			g.near(p+"grad_norm", []float32{float32(norm)}, g.Floats(p+"grad_norm"), 10*tol)
		}
		if c := r.sw.Clip / (norm + 1e-6); c < 1 {
			b.k.Scale(r.sum, float32(c))
		}
		if read {
			b.compareRidge(g, p+"grad_clipped.", r.sum, 10*tol, worst)
		}
		b.installAll(g.t, updates)
		if r.each || turn == int(g.number("turns")) {
			b.stepRidge(unclipped, r.sum, &r.state)
			if read {
				b.compareRidge(g, p+"phi_after.", b.Net.Flat, 5e-4, settled)
			}
		}
	}
	if r.each { // the reference's step behind the last turn, whose gradients are cleared by then
		clear(r.sum)
		b.stepRidge(unclipped, r.sum, &r.state)
	}
	if read {
		b.compareRidge(g, "phi_after.", b.Net.Flat, 5e-4, settled)
	}
	g.near("curve.gen_loss", gen, g.Floats("curve.gen_loss"), 5e-4)
	want := g.Floats("curve.loc_loss")
	for i := range want {
		if d := math.Abs(float64(loc[i] - want[i])); d > 1e-6*float64(len(r.tasks)*4)+5e-4*float64(want[i]) {
			g.t.Errorf("curve.loc_loss of turn %d: %g, wanted %g", i+1, loc[i], want[i])
		}
	}
}
