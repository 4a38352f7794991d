package hypernet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// TestWorkedExample checks the smallest example that uses every part: three
// rows of one weight [1, 2], two layers of rank 1, and the loss ½(y − 1)² at
// x = (1, 2) after the edit. The numbers were computed in float64 and confirmed
// by central differences; they have seven digits, and so has float32.
func TestWorkedExample(t *testing.T) {
	cfg := Default()
	cfg.EditLR, cfg.StdFloor, cfg.Rank = 0.01, 0, 1
	site := shaped("w", 2, 1)
	u := kernel.Mat([]float32{1, 2, 3, 0, 2, 5}, 3, 2)
	delta := kernel.Mat([]float32{0.5, -0.25, 0.125}, 3, 1)
	set := func(n *Net, values map[string][]float32) {
		seen := 0
		for _, p := range n.Params() {
			if v, ok := values[p.Name]; ok {
				dst, _ := p.Values()
				copy(dst, v)
				seen++
			}
		}
		if seen != len(values) {
			t.Fatalf("%d of %d parameters found", seen, len(values))
		}
	}
	update := func(z []float32) []float64 {
		w := make([]float64, 2)
		for i := range 3 {
			w[0] += float64(z[3*i+2]) * float64(z[3*i])
			w[1] += float64(z[3*i+2]) * float64(z[3*i+1])
		}
		return w
	}

	fresh := made(t, cfg, []lm.Site{site}, false)
	r := newRig(t, fresh, 3)
	if err := r.run([]rows{{u, delta}}); err != nil {
		t.Fatal(err)
	}
	norm := fresh.Groups[0].Norm
	if norm.K != 3 {
		t.Errorf("%d rows were counted, want 3", norm.K)
	}
	for _, c := range []struct {
		name      string
		got, want []float64
	}{
		{"mean", norm.Mean, []float64{2, 2.3333333, 0.125}},
		{"s", norm.S, []float64{2, 12.6666667, 0.28125}},
		{"ΔW at init", update(r.out(0)), []float64{-1.9999993, 0.7947192}},
	} {
		for i, w := range c.want {
			if math.Abs(c.got[i]-w) > 2e-6 {
				t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
				break
			}
		}
	}
	near(t, "normalised rows", r.out(0), []float64{-1, -0.132453, 1, 1, -0.927173, -1, 0, 1.059626, 0}, 1e-6)

	trained := made(t, cfg, []lm.Site{site}, false)
	const first, second = "(2, 1).mlp.layers.0.", "(2, 1).mlp.layers.1."
	set(trained, map[string][]float32{
		first + "u": {0.5, -0.25, 0.1}, first + "v": {1, -1, 0.5}, first + "bias": {0.1, 0, -0.2},
		first + "mode_scale.weight": {1, 2, 0.5}, first + "mode_shift.weight": {0, 0.1, -0.1},
		second + "u": {0.2, 0.3, -0.4}, second + "v": {0.5, 0.25, -1}, second + "bias": {0, 0.05, 0},
	})
	b := graph.New(testEngine(t))
	tasks, layout, mode := []nn.Range{{Hi: 3}}, &Layout{}, &Mode{Training: true}
	un, dn := b.Input("u", 3, 2), b.Input("delta", 3, 1)
	g := trained.Groups[0]
	z := trained.Transform(b, g, Gather(b, g, []Raw{{U: un, Delta: dn, Tasks: &tasks}}, layout, nil, mode), layout, mode)
	x, one := b.Input("x", 1, 2), b.Input("minus one", 1, 1)
	w := &nn.Linear{W: nn.NewParam("w", 1, 2, []float32{0.3, -0.2}), In: 2, Out: 1}
	where := []nn.Range{{Hi: 1}}
	y := b.LowRank(b.Linear(w, x), x, z, b.Trainable(trained.Rates[0]),
		graph.Factors{In: 2, Out: 1, Sign: -1, Tasks: &layout.Tasks[0], Block: &layout.Blocks[0], Key: layout}, &where)
	gap := b.AddBias(y, one)
	square := b.Mul(gap, gap) // twice the loss
	var params []graph.Node
	for _, p := range trained.Params() {
		params = append(params, b.Trainable(p))
	}
	grads := b.Grad([]graph.Node{square}, params...)
	m, err := b.Compile(append([]graph.Node{z, gap}, grads...)...)
	if err != nil {
		t.Fatal(err)
	}
	m.Set(un, u)
	m.Set(dn, delta)
	m.Set(x, kernel.Mat([]float32{1, 2}, 1, 2))
	m.Set(one, kernel.Mat([]float32{-1}, 1, 1))
	if err := m.Run(false); err != nil {
		t.Fatal(err)
	}
	near(t, "outputs", values(m, z), []float64{-1, 0.151320, 1.584868, 2.148586, -0.374673, -1, 0.084472, 1.866147, 0}, 1e-6)
	if got := update(values(m, z)); math.Abs(got[0]+3.7334530) > 3e-6 || math.Abs(got[1]-0.6144950) > 3e-6 {
		t.Errorf("ΔW is %v", got)
	}
	near(t, "y", []float32{values(m, gap)[0] + 1}, []float64{-0.0749554}, 1e-6)
	near(t, "loss", []float32{values(m, gap)[0] * values(m, gap)[0] / 2}, []float64{0.5777645}, 1e-6)
	want := map[string][]float64{
		"edit_lrs.w": {-2.6921859},
		first + "u":  {-0.0214781, -0.0255981, 0}, first + "v": {0.0098867, 0.0092829, -0.0098867},
		first + "bias": {-0.0150494, 0.0696457, 0}, first + "mode_scale.weight": {-0.0122440, 0.0031998, 0}, first + "mode_shift.weight": {-0.0150494, 0.0348229, 0},
		second + "u": {-0.0180055, -0.0360110, 0.0109609}, second + "v": {-0.0185947, 0.0084271, 0.0115982},
		second + "bias": {-0.0107496, -0.0214991, -0.0074963}, second + "mode_scale.weight": {-0.0036011, -0.0118783, -0.0043843}, second + "mode_shift.weight": {-0.0107496, -0.0214991, -0.0074963},
	}
	for i, p := range trained.Params() {
		got := values(m, grads[i])
		for j := range got {
			got[j] /= 2
		}
		near(t, "gradient of "+p.Name, got, want[p.Name], 1e-6)
	}
	if len(want) != len(trained.Params()) {
		t.Errorf("%d of %d gradients compared", len(want), len(trained.Params()))
	}
}

// blocks are n blocks' sites of the given widths, in turn.
func blocks(n int, widths ...[2]int) []lm.Site {
	var sites []lm.Site
	for b := range n {
		for i, w := range widths {
			sites = append(sites, shaped(fmt.Sprintf("h.%d.%d", b, i), w[0], w[1]))
		}
	}
	return sites
}

// TestCount has the published parameter counts of the method, to the unit.
func TestCount(t *testing.T) {
	gpt2 := blocks(3, [2]int{3072, 768}, [2]int{768, 3072})
	xl := blocks(3, [2]int{6400, 1600}, [2]int{1600, 6400})
	smol := blocks(3, [2]int{576, 1536}, [2]int{576, 1536}, [2]int{1536, 576})
	gptj := blocks(3, [2]int{4096, 16384}, [2]int{16384, 4096})
	llama := blocks(3, [2]int{4096, 14336}, [2]int{4096, 14336}, [2]int{14336, 4096})
	rank := func(r int) func(*Config) { return func(c *Config) { c.Rank = r } }
	unshared := func(c *Config) { c.Shared = false }
	two := func(c *Config) { c.Combine = false }
	oneSided := func(c *Config) { c.Combine, c.OneSided = false, true }
	for _, c := range []struct {
		name   string
		sites  []lm.Site
		change func(*Config)
		want   int64
	}{
		{"GPT-2 small", gpt2, nil, 59089926},
		{"GPT-2 XL", xl, nil, 123104006},
		{"SmolLM2-135M", smol, nil, 32524809},
		{"GPT-J-6B", gptj, nil, 315146246},
		{"Llama-3-8B", llama, nil, 283852809},
		{"GPT-2 small unshared", gpt2, unshared, 176993286},
		{"GPT-2 XL unshared", xl, unshared, 368736006},
		{"SmolLM2-135M unshared", smol, unshared, 146019465},
		{"Llama-3-8B unshared", llama, unshared, 1274351625},
		{"GPT-2 small, two networks", gpt2, two, 52012038},
		{"GPT-2 XL, two networks", xl, two, 119008006},
		{"SmolLM2-135M, two networks", smol, two, 21613065},
		{"Llama-3-8B, two networks", llama, two, 283852809},
		{"GPT-2 small, one side", gpt2, oneSided, 4740102},
		{"GPT-2 XL, one side", xl, oneSided, 20524806},
		{"SmolLM2-135M, one side", smol, oneSided, 2677257},
		{"Llama-3-8B, one side", llama, oneSided, 63078409},
		{"GPT-2 small, rank 256", gpt2, rank(256), 7971846},
		{"GPT-2 XL, rank 64", xl, rank(64), 4320006},
		{"SmolLM2-135M, rank 16", smol, rank(16), 354825},
		{"Llama-3-8B, rank 256", llama, rank(256), 38486025},
		{"step sizes alone", gpt2, func(c *Config) { c.Kind = "rates" }, 6},
		{"naive on 1024 × 1024", []lm.Site{shaped("w", 1024, 1024)}, func(c *Config) { c.Kind = "naive" }, 1<<40 + 1},
		{"naive beyond counting", []lm.Site{shaped("w", 1<<20, 1<<20)}, func(c *Config) { c.Kind = "naive" }, math.MaxInt64},
	} {
		cfg := Default()
		if c.change != nil {
			c.change(&cfg)
		}
		if got := Count(cfg, c.sites, nil); got != c.want {
			t.Errorf("%s: %d parameters, want %d", c.name, got, c.want)
		}
	}
}

// switches are the networks that the config can ask for.
func switches() map[string]func(*Config) {
	return map[string]func(*Config){
		"default":           nil,
		"two networks":      func(c *Config) { c.Combine = false },
		"one side":          func(c *Config) { c.Combine, c.OneSided = false, true },
		"u alone":           func(c *Config) { c.Combine, c.XOnly = false, true },
		"delta alone":       func(c *Config) { c.Combine, c.DOnly = false, true },
		"unshared":          func(c *Config) { c.Shared = false },
		"not normalised":    func(c *Config) { c.Norm = false },
		"xavier":            func(c *Config) { c.Init = "xavier" },
		"last layer linear": func(c *Config) { c.LastLin = true },
		"one layer":         func(c *Config) { c.Hidden = 0 },
		"three layers":      func(c *Config) { c.Hidden = 2 },
		"rank above width":  func(c *Config) { c.Rank = 100 },
	}
}

func TestCountIsTheSizeOfTheNetwork(t *testing.T) {
	for name, change := range switches() {
		cfg := small(change)
		if n := made(t, cfg, twoShapes(), false); Count(cfg, twoShapes(), nil) != int64(len(n.Flat)) {
			t.Errorf("%s: %d values, but Count says %d", name, len(n.Flat), Count(cfg, twoShapes(), nil))
		}
	}
}

// reference is one layer in float64, as written in the method's formulas.
type reference struct {
	u, v, bias, scale, shift []float64 // scale and shift of one mode
	d, r                     int
	residual, linear         bool
	z, h, q                  []float64 // of the last forward
}

func (l *reference) forward(z []float64) []float64 {
	l.z, l.h, l.q = z, make([]float64, l.r), make([]float64, l.d)
	out := make([]float64, l.d)
	for k := range l.r {
		for j := range l.d {
			l.h[k] += l.v[k*l.d+j] * z[j]
		}
	}
	for j := range l.d {
		for k := range l.r {
			l.q[j] += l.u[j*l.r+k] * l.h[k]
		}
		l.q[j] += l.bias[j]
		p := l.scale[j]*l.q[j] + l.shift[j]
		if p < 0 && !l.linear {
			p = 0
		}
		out[j] = p
		if l.residual {
			out[j] += z[j]
		}
	}
	return out
}

// backward adds to the gradients and returns that of the input.
func (l *reference) backward(dz []float64, g *reference) []float64 {
	e, din, uh := make([]float64, l.d), make([]float64, l.d), make([]float64, l.r)
	for j := range l.d {
		dp := dz[j]
		if l.scale[j]*l.q[j]+l.shift[j] < 0 && !l.linear {
			dp = 0
		}
		g.scale[j] += dp * l.q[j]
		g.shift[j] += dp
		e[j] = l.scale[j] * dp
		g.bias[j] += e[j]
		for k := range l.r {
			g.u[j*l.r+k] += e[j] * l.h[k]
			uh[k] += l.u[j*l.r+k] * e[j]
		}
		if l.residual {
			din[j] = dz[j]
		}
	}
	for k := range l.r {
		for j := range l.d {
			g.v[k*l.d+j] += uh[k] * l.z[j]
			din[j] += l.v[k*l.d+j] * uh[k]
		}
	}
	return din
}

// TestLayersByTheirFormulas compares outputs and gradients of every switch
// with the formulas in float64.
func TestLayersByTheirFormulas(t *testing.T) {
	for name, change := range switches() {
		t.Run(name, func(t *testing.T) {
			cfg := small(change)
			net := made(t, cfg, twoShapes(), true)
			r := newRig(t, net, 7)
			if err := r.run(someRows(rand.New(rand.NewPCG(1, 2)), net.Sites, 7)); err != nil {
				t.Fatal(err)
			}
			compared := 0
			for gi, g := range net.Groups {
				compared += compareGroup(t, r, gi, g)
			}
			if want := len(net.Params()) - net.NumRates(); compared != want {
				t.Errorf("%d of %d gradients compared", compared, want)
			}
		})
	}
}

// compareGroup compares one group's outputs and gradients, and returns how many
// gradients it compared.
func compareGroup(t *testing.T, r *rig, gi int, g *Group) int {
	wide := g.In + g.Out
	in, out := values(r.m, r.raw[gi]), r.out(gi)
	l := r.layouts[gi]
	if !g.Norm.Off { // statistics at a mode include the modes before it
		n := NewNormaliser(wide, g.In)
		n.Floor = g.Norm.Floor
		for _, q := range l.Blocks {
			part := in[q.Lo*wide : q.Hi*wide]
			n.Update(part)
			if err := n.Apply(part, slices.Clone(part)); err != nil {
				t.Fatal(err)
			}
		}
	}
	want, cost := make([]float64, len(in)), make([]float64, len(in))
	for i := range in {
		want[i], cost[i] = float64(in[i]), float64(weightAt(i))
	}
	compared := 0
	for _, sd := range g.sides {
		d := sd.hi - sd.lo
		modes := len(g.Sites)
		refs, sums := make([][]reference, modes), make([][]reference, modes)
		for m := range modes {
			for _, layer := range sd.layers {
				ref := reference{u: doubled(layer.u), v: doubled(layer.v), bias: doubled(layer.bias), d: d, r: layer.u.Cols, residual: layer.residual, linear: layer.linear}
				ref.scale, ref.shift = slices.Repeat([]float64{1}, d), make([]float64, d)
				if layer.scale != nil {
					ref.scale, ref.shift = doubled(layer.scale)[m*d:(m+1)*d], doubled(layer.shift)[m*d:(m+1)*d]
				}
				refs[m] = append(refs[m], ref)
				sums[m] = append(sums[m], reference{u: make([]float64, len(ref.u)), v: make([]float64, len(ref.v)), bias: make([]float64, d), scale: make([]float64, d), shift: make([]float64, d)})
			}
		}
		for i, m := range l.Modes {
			z := want[i*wide+sd.lo : i*wide+sd.hi]
			x := slices.Clone(z)
			for li := range refs[m] {
				x = refs[m][li].forward(x)
			}
			copy(z, x)
			dz := slices.Clone(cost[i*wide+sd.lo : i*wide+sd.hi])
			for li := len(refs[m]) - 1; li >= 0; li-- {
				dz = refs[m][li].backward(dz, &sums[m][li])
			}
		}
		for li, layer := range sd.layers {
			total := sums[0][li]
			scale, shift := slices.Clone(total.scale), slices.Clone(total.shift)
			for m := 1; m < modes; m++ {
				add(total.u, sums[m][li].u)
				add(total.v, sums[m][li].v)
				add(total.bias, sums[m][li].bias)
				scale, shift = append(scale, sums[m][li].scale...), append(shift, sums[m][li].shift...)
			}
			for _, c := range []struct {
				p    *nn.Param
				want []float64
			}{{layer.u, total.u}, {layer.v, total.v}, {layer.bias, total.bias}, {layer.scale, scale}, {layer.shift, shift}} {
				if c.p == nil {
					continue
				}
				near(t, "gradient of "+c.p.Name, r.grad(slices.Index(r.net.Params(), c.p)), c.want, 2e-4)
				compared++
			}
		}
	}
	near(t, "output of "+g.Name, out, want, 1e-5)
	return compared
}

func doubled(p *nn.Param) []float64 {
	v, _ := p.Values()
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

func add(dst, src []float64) {
	for i, x := range src {
		dst[i] += x
	}
}

func TestTheFreshNetworkIsTheIdentity(t *testing.T) {
	net := made(t, small(nil), twoShapes(), false)
	r := newRig(t, net, 6)
	if err := r.run(someRows(rand.New(rand.NewPCG(3, 4)), net.Sites, 6)); err != nil {
		t.Fatal(err)
	}
	for gi, g := range net.Groups {
		wide := g.In + g.Out
		in, out := values(r.m, r.raw[gi]), r.out(gi)
		q := r.layouts[gi].Blocks[len(g.Sites)-1] // normalised by the final statistics
		want := make([]float32, (q.Hi-q.Lo)*wide)
		if err := g.Norm.Apply(want, in[q.Lo*wide:q.Hi*wide]); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(want, out[q.Lo*wide:q.Hi*wide]) {
			t.Errorf("%s: the output is not the normalised input", g.Name)
		}
	}
}

// TestTheFirstUpdateHasItsSize: the norm of α·ΔW is about α·√(R·m·n).
func TestTheFirstUpdateHasItsSize(t *testing.T) {
	const n, in, out = 15, 24, 16
	net := made(t, small(nil), []lm.Site{shaped("w", in, out)}, false)
	r := newRig(t, net, n)
	if err := r.run(someRows(rand.New(rand.NewPCG(5, 6)), net.Sites, n)); err != nil {
		t.Fatal(err)
	}
	z := r.out(0)
	sum := 0.0
	for a := range in {
		for b := range out {
			w := 0.0
			for i := range n {
				w += float64(z[i*(in+out)+a]) * float64(z[i*(in+out)+in+b])
			}
			sum += w * w
		}
	}
	if got, want := math.Sqrt(sum), math.Sqrt(n*in*out); got < want/3 || got > 3*want {
		t.Errorf("norm %.3g, want about %.3g", got, want)
	}
}

// TestTheFirstGradientPassesTheClamp: before the first step every clamped value
// is exactly 0. U, bias and shift learn there only if the slope at 0 is 1; V
// and scale have no gradient yet.
func TestTheFirstGradientPassesTheClamp(t *testing.T) {
	net := made(t, small(nil), twoShapes(), false)
	r := newRig(t, net, 6)
	if err := r.run(someRows(rand.New(rand.NewPCG(7, 8)), net.Sites, 6)); err != nil {
		t.Fatal(err)
	}
	for i := range r.grads {
		name := net.Params()[i].Name
		zero := !slices.ContainsFunc(r.grad(i), func(x float32) bool { return x != 0 })
		if want := strings.HasSuffix(name, ".v") || strings.HasSuffix(name, "scale.weight"); zero != want {
			t.Errorf("%s: gradient zero is %t, want %t", name, zero, want)
		}
	}
}

func TestNoOutputIsBelowItsInput(t *testing.T) {
	net := made(t, small(func(c *Config) { c.Norm = false }), twoShapes(), true)
	r := newRig(t, net, 8)
	if err := r.run(someRows(rand.New(rand.NewPCG(9, 1)), net.Sites, 8)); err != nil {
		t.Fatal(err)
	}
	for gi := range net.Groups {
		in, out := values(r.m, r.raw[gi]), r.out(gi)
		for i := range in {
			if out[i] < in[i] {
				t.Fatalf("element %d falls from %v to %v", i, in[i], out[i])
			}
		}
	}
}

func TestXavierHasNoResidualAndItsRange(t *testing.T) {
	cfg := small(func(c *Config) { c.Init = "xavier" })
	net := made(t, cfg, twoShapes(), false)
	for _, g := range net.Groups {
		for _, l := range g.sides[0].layers {
			limit := math.Sqrt(6 / float64(l.u.Rows+l.u.Cols))
			for _, c := range []struct {
				p    *nn.Param
				want float64
			}{{l.u, limit * math.Sqrt2}, {l.v, limit}} {
				largest := 0.0
				for _, x := range doubled(c.p) {
					largest = max(largest, math.Abs(x))
				}
				if largest > c.want || largest < 0.7*c.want {
					t.Errorf("%s: largest value %.3g, want just below %.3g", c.p.Name, largest, c.want)
				}
			}
		}
	}
	r := newRig(t, net, 6)
	if err := r.run(someRows(rand.New(rand.NewPCG(2, 2)), net.Sites, 6)); err != nil {
		t.Fatal(err)
	}
	for gi := range net.Groups {
		if x := slices.Min(r.out(gi)); x < 0 {
			t.Errorf("output %v is negative", x)
		}
	}
}

func TestSharing(t *testing.T) {
	shared, alone := made(t, small(nil), twoShapes(), false), made(t, small(func(c *Config) { c.Shared = false }), twoShapes(), false)
	if len(shared.Groups) != 2 || !slices.Equal(shared.Groups[0].Sites, []int{0, 1}) {
		t.Errorf("shared: groups %v", shared.Groups)
	}
	if len(alone.Groups) != 3 {
		t.Errorf("not shared: %d groups", len(alone.Groups))
	}
	for _, p := range alone.Params() {
		if strings.Contains(p.Name, "mode_") {
			t.Errorf("%s: a network of one weight has no modes", p.Name)
		}
	}
	if p := shared.Params(); p[0].Name != "(3, 5).mlp.layers.0.u" || p[len(p)-1].Name != "edit_lrs.c" {
		t.Errorf("parameters from %s to %s", p[0].Name, p[len(p)-1].Name)
	}
}

func TestWalkVisitsAllOfFlat(t *testing.T) {
	n := made(t, small(nil), twoShapes(), false)
	total := 0
	if err := n.Walk(func(p *nn.Param) error { total += p.Len(); return nil }); err != nil {
		t.Fatal(err)
	}
	if total != len(n.Flat) {
		t.Errorf("%d values visited, want %d", total, len(n.Flat))
	}
	err := n.Walk(func(*nn.Param) error { return fmt.Errorf("stop") })
	if err == nil || !strings.Contains(err.Error(), "(3, 5).mlp.layers.0.u: stop") {
		t.Errorf("error %v does not name the parameter", err)
	}
}

func TestEqualSeedsGiveEqualBytes(t *testing.T) {
	a, b := made(t, small(nil), twoShapes(), false), made(t, small(nil), twoShapes(), false)
	if !slices.Equal(a.Flat, b.Flat) {
		t.Error("two networks of one seed differ")
	}
	c, err := New(small(nil), twoShapes(), rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(a.Flat, c.Flat) {
		t.Error("two seeds give one network")
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string // in the error
	}{
		{"unknown kind", func(c *Config) { c.Kind = "ke" }, "kind"},
		{"unknown init", func(c *Config) { c.Init = "zero" }, "init"},
		{"combine with one side", func(c *Config) { c.OneSided = true }, "combine: false"},
		{"combine with u alone", func(c *Config) { c.XOnly = true }, "combine: false"},
		{"combine with delta alone", func(c *Config) { c.DOnly = true }, "combine: false"},
		{"one side and u", func(c *Config) { c.Combine, c.OneSided, c.XOnly = false, true, true }, "only one"},
		{"one side and delta", func(c *Config) { c.Combine, c.OneSided, c.DOnly = false, true, true }, "only one"},
		{"u and delta alone", func(c *Config) { c.Combine, c.XOnly, c.DOnly = false, true, true }, "only one"},
		{"negative depth", func(c *Config) { c.Hidden = -1 }, "n_hidden"},
		{"rank 0", func(c *Config) { c.Rank = 0 }, "rank"},
		{"negative floor", func(c *Config) { c.StdFloor = -1 }, "std_floor"},
		{"floor above 1", func(c *Config) { c.StdFloor = 2 }, "std_floor"},
		{"step size not a number", func(c *Config) { c.EditLR = math.NaN() }, "edit_lr"},
	} {
		cfg := Default()
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one about %s", c.name, err, c.want)
		}
		if _, err := New(cfg, twoShapes(), rand.New(rand.NewPCG(1, 1))); err == nil {
			t.Errorf("%s: a network was made", c.name)
		}
	}
	good := Default()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := New(good, nil, rand.New(rand.NewPCG(1, 1))); err == nil {
		t.Error("a network for no weight was made")
	}
}
