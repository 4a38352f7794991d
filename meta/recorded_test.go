package meta

import (
	"encoding/json"
	"iter"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/train/optim"
)

// recorded is a file of golden values.
type recorded struct {
	lmtest.Tensors
	t    *testing.T
	meta map[string]string
}

func openGolden(t *testing.T, path string) *recorded {
	t.Helper()
	g := lmtest.Open(t, path, "")
	return &recorded{g, t, g.File().Metadata()}
}

// eachGolden runs test for every file of a folder that matches, of which there
// has to be one. Names are those of files without .safetensors.
func eachGolden(t *testing.T, folder string, match func(name string, g *recorded) bool, test func(t *testing.T, g *recorded)) {
	t.Helper()
	paths, err := filepath.Glob(golden.Path(t, "golden", folder, "*.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range paths {
		name := strings.TrimSuffix(filepath.Base(p), ".safetensors")
		if !match(name, openGolden(t, p)) {
			continue
		}
		n++
		t.Run(name, func(t *testing.T) { test(t, openGolden(t, p)) })
	}
	if n == 0 {
		t.Fatal("no golden case found")
	}
}

func (g *recorded) ints(name string) (v []int64, shape []int) {
	g.t.Helper()
	v = g.Ints(name)
	x, _ := g.File().Tensor(name)
	return v, x.Shape
}

func (g *recorded) json(key string, into any) {
	g.t.Helper()
	if err := json.Unmarshal([]byte(g.meta[key]), into); err != nil {
		g.t.Fatalf("metadata %s: %v", key, err)
	}
}

func (g *recorded) number(key string) (v float64) { g.json(key, &v); return v }

// worst is the largest difference over the golden array's largest magnitude.
func worst(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range want {
		if e := math.Abs(float64(got[i]) - float64(want[i])); e > d || math.IsNaN(e) {
			d = e
		}
	}
	return d / math.Max(float64(largest(want)), 1e-12)
}

// settled is worst without the 0.1 % of values that differ most: Adam turns a
// gradient of about zero into a step of plus or minus the rate.
func settled(got, want []float32) float64 {
	d := make([]float64, len(want))
	for i := range want {
		d[i] = math.Abs(float64(got[i]) - float64(want[i]))
	}
	sort.Float64s(d)
	return d[int(0.999*float64(len(d)-1))] / math.Max(float64(largest(want)), 1e-12)
}

// largest is the largest magnitude.
func largest(x []float32) float32 {
	m := float32(0)
	for _, v := range x {
		m = max(m, v, -v)
	}
	return m
}

func (g *recorded) near(name string, got, want []float32, tol float64) {
	g.t.Helper()
	if w := worst(got, want); !(w <= tol) {
		g.t.Errorf("%s: off by %.2e of the largest magnitude, allowed %.0e (%d values, wanted %d)", name, w, tol, len(got), len(want))
	}
}

// nearKL compares a divergence, which may be zero but for rounding.
func (g *recorded) nearKL(name string, got, want, tol float64) {
	g.t.Helper()
	if d := math.Abs(got - want); !(d <= 1e-6+tol*want) {
		g.t.Errorf("%s: %g, wanted %g", name, got, want)
	}
}

// read reads right-padded ids and mask; label is what column c of a text is asked,
// given the labels of its columns.
func (g *recorded) read(prefix string, label func(labels []int64, c int) int32) []text.Text {
	g.t.Helper()
	ids, shape := g.ints(prefix + "input_ids")
	mask, labels := g.Ints(prefix+"attention_mask"), g.Ints(prefix+"labels")
	var out []text.Text
	for r := range shape[0] {
		var t text.Text
		row := labels[r*shape[1] : (r+1)*shape[1]]
		for c := range row {
			if at := r*shape[1] + c; mask[at] != 0 {
				t.IDs, t.Labels = append(t.IDs, int32(ids[at])), append(t.Labels, label(row, c))
			}
		}
		out = append(out, t)
	}
	return out
}

// texts reads a part of a case of the MEND repository, where a row's label is the
// next column's; with all, every row is scored.
func (g *recorded) texts(prefix string, all bool) []text.Text {
	g.t.Helper()
	return g.read(prefix, func(labels []int64, c int) int32 {
		switch {
		case all:
			return 0
		case c+1 < len(labels):
			return int32(max(labels[c+1], -1))
		}
		return -1
	})
}

// bench is the objective of a golden case.
type bench struct {
	*Objective
	grads []float32
}

// bench is the objective of cfg's network for the model's weights of these names.
func (g *recorded) bench(cfg hypernet.Config, oc Config, names []string) bench {
	g.t.Helper()
	m, err := lm.Load(golden.Path(g.t, "golden", "mend", g.meta["model"]))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { m.Close() })
	sites, err := m.FindSites(names)
	if err != nil {
		g.t.Fatal(err)
	}
	table, err := m.TokenTable().Values()
	if err != nil {
		g.t.Fatal(err)
	}
	words := &hypernet.Words{Table: table, Rows: m.TokenTable().Rows, Cols: m.TokenTable().Cols}
	net, err := hypernet.NewReading(cfg, sites, words, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		g.t.Fatal(err)
	}
	o, err := New(oc, m, net, lmtest.Engine(g.t, 0), 0)
	if err != nil {
		g.t.Fatal(err)
	}
	return bench{o, make([]float32, len(net.Flat))}
}

// params are the network's parameters, each with its part of x, which has the
// layout of Net.Flat.
func (b bench) params(x []float32) iter.Seq2[*nn.Param, []float32] {
	return func(yield func(*nn.Param, []float32) bool) {
		for _, p := range b.Net.Params() {
			if !yield(p, x[:p.Len()]) {
				return
			}
			x = x[p.Len():]
		}
	}
}

// keepAll makes a machine with all that goes from raw factors to rows among its
// outputs; with gradients, if it is asked for them.
func (b bench) keepAll(tasks []Task, gradients bool) (*graph.Machine, error) {
	if err := b.prepare(tasks, true); err != nil {
		return nil, err
	}
	g := b.g
	out := slices.Concat(g.gathered, g.factors, g.values, []graph.Node{g.innerS.Rows, g.outerS.Rows, g.locS.Rows})
	if gradients {
		out = append(out, g.grads...)
	}
	return g.b.CompileIn(&b.memory, out...)
}

// update is what d adds to a weight, [in, out] or [out, in]; it scales d.D.
func (b bench) update(d nn.Delta, inOut bool) []float32 {
	in, out := d.U.Cols, d.D.Cols
	w := make([]float32, in*out)
	b.k.Scale(d.D.Data, d.Scale)
	if inOut {
		b.k.Gemm(kernel.Mat(w, in, out), kernel.Product{A: d.U, TransA: true, B: d.D})
	} else {
		b.k.Gemm(kernel.Mat(w, out, in), kernel.Product{A: d.D, TransA: true, B: d.U})
	}
	return w
}

// weight is the values of a site's weight.
func (b bench) weight(t *testing.T, site int) (*nn.Param, []float32) {
	t.Helper()
	p := b.sites[site].Linear.W
	v, err := p.Values()
	if err != nil {
		t.Fatal(err)
	}
	return p, v
}

// install adds dw to the weight of a site, as it is stored.
func (b bench) install(t *testing.T, site int, dw []float32) {
	t.Helper()
	p, v := b.weight(t, site)
	next := slices.Clone(v)
	b.k.AddTo(next, dw)
	if _, err := p.Replace(next); err != nil {
		t.Fatal(err)
	}
}

// train takes the golden run's batches, window of them in the first step and
// accumulate in the others, and calls behind after each step.
func (b bench) train(g *recorded, outer optim.Outer, window int, task func(batch int) Task, behind func(step int)) (out []Outcome, norms []float32) {
	g.t.Helper()
	batches := int(g.number("batches"))
	state := optim.NewState(len(b.Net.Flat))
	for at := 0; at < batches; {
		var tasks []Task
		for ; len(tasks) < window && at < batches; at++ {
			tasks = append(tasks, task(at))
		}
		r, err := b.Step(tasks, b.grads, false)
		if err != nil {
			g.t.Fatal(err)
		}
		out = append(out, r...)
		if len(tasks) < window {
			break
		}
		window = outer.Divisor
		norm := outer.Norm(b.k, b.grads)
		norms = append(norms, float32(norm))
		outer.Step(b.k, b.Net.Flat, b.grads, norm, &state)
		behind(int(state.Steps))
	}
	return out, norms
}

// curve is one figure of outcomes.
func curve(list []Outcome, figure func(Outcome) float64) []float32 {
	var out []float32
	for _, o := range list {
		out = append(out, float32(figure(o)))
	}
	return out
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}
