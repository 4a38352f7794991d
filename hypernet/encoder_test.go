package hypernet

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// TestGoldenEncoder compares vectors and gradients with the reference's, of three
// texts of unequal length, one of them with token 0 inside.
func TestGoldenEncoder(t *testing.T) {
	g := lmtest.Open(t, golden.Path(t, "golden", "efk", "encoder.safetensors"), "")
	ids, _ := g.File().Tensor("ids")
	mask, _ := g.File().Tensor("mask")
	all, err := ids.Int64()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := mask.Int64()
	if err != nil {
		t.Fatal(err)
	}
	mode := &Mode{Strict: true}
	wide := ids.Shape[1]
	for r := range ids.Shape[0] {
		var text []int32
		for i := range wide {
			if kept[r*wide+i] != 0 {
				text = append(text, int32(all[r*wide+i]))
			}
		}
		mode.Texts = append(mode.Texts, text)
	}
	words := &Words{Rows: 13, Cols: 4}
	e := &encoder{}
	var params []*nn.Param
	for _, s := range e.describe(Config{ConditionDim: 5, ConditionHidden: 3}, words) {
		name := strings.TrimPrefix(s.name, "condition.")
		*s.into = nn.NewParam(name, s.rows, s.cols, g.Floats("phi."+name))
		params = append(params, *s.into)
	}
	b := graph.New(testEngine(t))
	y := e.build(b, len(mode.Texts), mode)
	w := b.Input("weight", len(mode.Texts), 5)
	var wrt []graph.Node
	for _, p := range params {
		wrt = append(wrt, b.Trainable(p))
	}
	grads := b.Grad([]graph.Node{b.Mul(y, w)}, wrt...)
	m, err := b.Compile(append([]graph.Node{y}, grads...)...)
	if err != nil {
		t.Fatal(err)
	}
	m.Set(w, kernel.Mat(g.Floats("weight"), len(mode.Texts), 5))
	if err := m.Run(false); err != nil {
		t.Fatal(err)
	}
	check := func(name string, got kernel.Matrix) {
		want := g.Floats(name)
		most, gap := 0.0, 0.0
		for i, v := range want {
			most = math.Max(most, math.Abs(float64(v)))
			gap = math.Max(gap, math.Abs(float64(v-got.Data[i])))
		}
		if len(want) != got.Rows*got.Cols || gap > 1e-4*most {
			t.Errorf("%s: off by %g of %g", name, gap, most)
		}
	}
	check("out", m.Value(y))
	for i, p := range params {
		check("grad."+p.Name, m.Value(grads[i]))
	}
}

// TestEFKByDifferences compares the gradient of masked rows with central
// differences, with weights stored either way.
func TestEFKByDifferences(t *testing.T) {
	for _, inOut := range []bool{true, false} {
		cfg := Default()
		cfg.Kind, cfg.ConditionDim, cfg.ConditionHidden, cfg.MaxScale = "efk", 4, 3, 1.5
		sites := []lm.Site{shaped("a", 3, 5), shaped("b", 3, 5)}
		for _, s := range sites {
			s.Linear.InOut = inOut
		}
		rng := rand.New(rand.NewPCG(5, 6))
		words := &Words{Table: make([]float32, 7*4), Rows: 7, Cols: 4}
		for i := range words.Table {
			words.Table[i] = float32(rng.NormFloat64())
		}
		net, err := NewReading(cfg, sites, words, rng)
		if err != nil {
			t.Fatal(err)
		}
		if n := Count(cfg, sites, words); n != int64(len(net.Flat)) || net.NumRates() != 0 {
			t.Errorf("Count is %d of %d, %d step sizes", n, len(net.Flat), net.NumRates())
		}
		r := newRig(t, net, 6)
		r.mode.Texts = [][]int32{{1, 2, 0, 3}}
		in := someRows(rng, sites, 3)
		cost := func() float64 {
			if err := r.run(in); err != nil {
				t.Fatal(err)
			}
			s := 0.0
			for i, v := range r.out(0) {
				s += float64(v) * float64(weightAt(i))
			}
			return s
		}
		cost()
		var grads [][]float32
		for i := range net.Params() {
			grads = append(grads, append([]float32(nil), r.grad(i)...))
		}
		for i, p := range net.Params() {
			v, _ := p.Values()
			largest := 0.0
			for _, x := range grads[i] {
				largest = math.Max(largest, math.Abs(float64(x)))
			}
			for j := 0; j < len(v); j += 1 + len(v)/5 {
				old := v[j]
				const h = 5e-3
				v[j] = old + h
				up := cost()
				v[j] = old - h
				down := cost()
				v[j] = old
				if want := (up - down) / (2 * h); math.Abs(want-float64(grads[i][j])) > 0.02*largest+1e-3 {
					t.Errorf("%s[%d]: gradient %g, differences give %g", p.Name, j, grads[i][j], want)
				}
			}
		}
	}
}
