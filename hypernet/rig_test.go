package hypernet

import (
	"math"
	"math/rand/v2"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// rows are the raw factors of one site: u [n, in] and δ [n, out].
type rows struct{ u, delta kernel.Matrix }

// rig is a network in a graph of its own. The cost is the sum of all
// transformed factors, each multiplied by a weight.
type rig struct {
	net     *Net
	mode    Mode
	u, d    []graph.Node   // per site
	tasks   [][]nn.Range   // per site
	layouts []*Layout      // per group
	raw, z  []graph.Node   // per group
	weights []graph.Node   // per group
	grads   []graph.Node   // per parameter but the step sizes
	m       *graph.Machine // computes z and grads
}

func testEngine(t testing.TB) *kernel.Engine {
	t.Helper()
	k, err := kernel.New(kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// newRig puts net into a graph for at most bound rows a site.
func newRig(t testing.TB, net *Net, bound int) *rig {
	t.Helper()
	r := &rig{net: net, mode: Mode{Training: true}}
	b := graph.New(testEngine(t))
	raw := make([]Raw, len(net.Sites))
	r.tasks = make([][]nn.Range, len(net.Sites))
	for i, s := range net.Sites {
		r.u, r.d = append(r.u, b.Input("u", bound, s.Linear.In)), append(r.d, b.Input("delta", bound, s.Linear.Out))
		raw[i] = Raw{U: r.u[i], Delta: r.d[i], Tasks: &r.tasks[i]}
	}
	var costs, params, outputs []graph.Node
	for _, g := range net.Groups {
		l := &Layout{}
		var mine []Raw
		for _, i := range g.Sites {
			mine = append(mine, raw[i])
		}
		z0 := Gather(b, g, mine, l, nil, &Mode{})
		z := net.Transform(b, g, z0, l, &r.mode)
		w := b.Input("weights", z.Shape()[0], z.Shape()[1])
		costs = append(costs, b.Mul(z, w))
		r.layouts, r.raw, r.z, r.weights = append(r.layouts, l), append(r.raw, z0), append(r.z, z), append(r.weights, w)
		outputs = append(outputs, z0, z)
	}
	for _, p := range net.Params()[:len(net.Params())-net.NumRates()] {
		params = append(params, b.Trainable(p))
	}
	if len(params) > 0 {
		r.grads = b.Grad(costs, params...)
	}
	m, err := b.Compile(append(outputs, r.grads...)...)
	if err != nil {
		t.Fatal(err)
	}
	r.m = m
	return r
}

// run computes on the sites' rows, each site's as one task.
func (r *rig) run(in []rows) error {
	for i, x := range in {
		r.tasks[i] = []nn.Range{{Hi: x.u.Rows}}
	}
	return r.runTasks(in)
}

// runTasks computes on the sites' rows, with the tasks that are set.
func (r *rig) runTasks(in []rows) error {
	for i, x := range in {
		r.m.Set(r.u[i], x.u)
		r.m.Set(r.d[i], x.delta)
	}
	for _, w := range r.weights {
		s := w.Shape()
		x := kernel.Mat(make([]float32, s[0]*s[1]), s[0], s[1])
		for i := range x.Data {
			x.Data[i] = weightAt(i)
		}
		r.m.Set(w, x)
	}
	return r.m.Run(false)
}

// weightAt is the weight of element i of the transformed factors in the cost.
func weightAt(i int) float32 { return float32(math.Sin(float64(3*i + 1))) }

// out is a copy of a group's transformed factors.
func (r *rig) out(group int) []float32 { return values(r.m, r.z[group]) }

func values(m *graph.Machine, n graph.Node) []float32 {
	v := m.Value(n)
	return append([]float32(nil), v.Data[:v.Rows*v.Cols]...)
}

// grad is a copy of the gradient of parameter i.
func (r *rig) grad(i int) []float32 {
	return append([]float32(nil), r.m.Value(r.grads[i]).Data[:r.net.Params()[i].Len()]...)
}

// someRows are n random rows for each site, away from zero mean and of unequal
// spread.
func someRows(rng *rand.Rand, sites []lm.Site, n int) []rows {
	fill := func(cols int) kernel.Matrix {
		m := kernel.Mat(make([]float32, n*cols), n, cols)
		for i := range m.Data {
			m.Data[i] = float32(rng.NormFloat64()*(1+float64(i%cols)) + 0.5)
		}
		return m
	}
	var in []rows
	for _, s := range sites {
		in = append(in, rows{fill(s.Linear.In), fill(s.Linear.Out)})
	}
	return in
}

// made makes a network; with shake, its parameters are away from their start.
func made(t testing.TB, cfg Config, sites []lm.Site, shake bool) *Net {
	t.Helper()
	rng := rand.New(rand.NewPCG(11, 12))
	n, err := New(cfg, sites, rng)
	if err != nil {
		t.Fatal(err)
	}
	if shake {
		for i := range n.Flat[:len(n.Flat)-n.NumRates()] {
			n.Flat[i] += float32(0.3 * rng.NormFloat64())
		}
	}
	return n
}

// shaped is a site of a weight of the given widths.
func shaped(name string, in, out int) lm.Site {
	return lm.Site{Name: name, Linear: &nn.Linear{In: in, Out: out}}
}

// twoShapes are three sites, of which the first two share a shape.
func twoShapes() []lm.Site { return []lm.Site{shaped("a", 3, 5), shaped("b", 3, 5), shaped("c", 5, 2)} }

func small(change func(*Config)) Config {
	c := Default()
	c.Rank = 4
	if change != nil {
		change(&c)
	}
	return c
}

// near wants |got − want| ≤ bound·(1 + |want|) everywhere.
func near(t testing.TB, what string, got []float32, want []float64, bound float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= bound*(1+math.Abs(w))) {
			t.Errorf("%s: element %d is %v, want %v", what, i, got[i], w)
			return
		}
	}
}
