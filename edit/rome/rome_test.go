package rome

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/internal/kernel"
)

// tinyConfig suits the models of edittest.
func tinyConfig() Config {
	c := Default()
	c.Layer, c.Contexts.Lengths, c.Contexts.Count = 1, []int{3, 5}, 2
	c.EditKnown, c.MaxRatio, c.MaxPerplexity = true, 100, 100
	return c
}

func TestEditorPassesTheSuite(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		for _, mode := range []string{RandomPrefix, Prompt} {
			t.Run(arch+" "+mode, func(t *testing.T) {
				edittest.Run(t, edittest.TinyModel(t, arch), func(k *kernel.Engine) (edit.Editor, error) {
					c := tinyConfig()
					// fresh weights hand little on from token to token, so that only the
					// last one of the very prompt can be relied on
					c.KeyMode, c.FactToken = mode, keyvalue.Last
					return New(k, c, edittest.Moments(t, k))
				}, edittest.Options{Subject: true, Single: true})
			})
		}
	}
}

// report is the figures of an edit of the first fact under c.
func report(t *testing.T, arch string, c Config) (map[string]any, *edit.Edited) {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	ed, err := New(k, c, edittest.Moments(t, k))
	if err != nil {
		t.Fatal(err)
	}
	e, err := ed.Apply(t.Context(), edittest.TinyModel(t, arch), edittest.Requests()[:1])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for _, f := range e.Report {
		out[f.Name] = f.Value
	}
	return out, e
}

func TestTheWeightMapsTheKeyToTheValue(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		for _, mode := range []string{RandomPrefix, Prompt, Original} {
			c := tinyConfig()
			c.KeyMode = mode
			figures, _ := report(t, arch, c)
			if r := figures["constraint_residual"].(float64); !(r < 1e-4) {
				t.Errorf("%s, %s: ‖Ŵk − v*‖/‖v*‖ is %v, want below 1e-4", arch, mode, r)
			}
		}
	}
}

func TestWithoutContextsTheVariantsAgree(t *testing.T) {
	var first *edit.Edited
	for _, mode := range []string{RandomPrefix, Prompt, Original} {
		c := tinyConfig()
		c.KeyMode, c.Contexts.Count = mode, 0
		_, e := report(t, "gpt2", c)
		if first == nil {
			first = e
			continue
		}
		a, b := first.Changes[0].Delta, e.Changes[0].Delta
		for i := range a.U.Data {
			if math.Abs(float64(a.U.Data[i]-b.U.Data[i])) > 1e-5 {
				t.Fatalf("%s: left factor %d is %v, want %v", mode, i, b.U.Data[i], a.U.Data[i])
			}
		}
		for i := range a.D.Data {
			if math.Abs(float64(a.D.Data[i]-b.D.Data[i])) > 1e-4*kernel.Norm64(a.D.Data) {
				t.Fatalf("%s: right factor %d is %v, want %v", mode, i, b.D.Data[i], a.D.Data[i])
			}
		}
	}
}

func TestAnUnsafeEditIsRefusedWithItsFigures(t *testing.T) {
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	m := edittest.TinyModel(t, "llama")
	c := tinyConfig()
	c.MaxRatio = 1e-6
	for _, force := range []bool{false, true} {
		c.Force = force
		ed, err := New(k, c, edittest.Moments(t, k))
		if err != nil {
			t.Fatal(err)
		}
		_, err = ed.Apply(t.Context(), m, edittest.Requests()[:1])
		var unsafe *keyvalue.UnsafeError
		if errors.As(err, &unsafe) == force {
			t.Errorf("force %v: error %v", force, err)
		}
		if !force && len(unsafe.Figures) == 0 {
			t.Error("the refusal has no figures")
		}
	}
}

// closedForm is a random instance of the least-squares problem.
type closedForm struct {
	c            *mat.SymDense
	chol         mat.Cholesky
	w            *mat.Dense // [out, in]
	k, y, target []float64
}

// Solve implements solver.
func (p *closedForm) Solve(k []float64) ([]float64, error) {
	var x mat.VecDense
	err := p.chol.SolveVecTo(&x, mat.NewVecDense(len(k), k))
	return x.RawVector().Data, err
}

func newClosedForm(rng *rand.Rand, in, out int, scale float64) *closedForm {
	draw := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64()
		}
		return x
	}
	keys := mat.NewDense(in, 3*in, draw(3*in*in))
	var c mat.SymDense
	c.SymOuterK(scale/float64(3*in), keys)
	p := &closedForm{c: &c, w: mat.NewDense(out, in, draw(in*out)), k: draw(in), target: draw(out)}
	p.chol.Factorize(p.c)
	var y mat.VecDense
	y.MulVec(p.w, mat.NewVecDense(in, p.k))
	p.y = y.RawVector().Data
	return p
}

// change is the update as a matrix, [out, in].
func (p *closedForm) change(t *testing.T) *mat.Dense {
	t.Helper()
	u, err := newUpdate(p, p.k, p.k, p.y, p.target)
	if err != nil {
		t.Fatal(err)
	}
	var d mat.Dense
	d.Outer(1, mat.NewVecDense(len(u.right), u.right), mat.NewVecDense(len(u.left), u.left))
	return &d
}

// cost is tr(Δ·C·Δᵀ): how much the change moves the answers to old keys.
func (p *closedForm) cost(d mat.Matrix) float64 {
	var dc, dcd mat.Dense
	dc.Mul(d, p.c)
	dcd.Mul(&dc, d.T())
	return mat.Trace(&dcd)
}

// TestClosedFormSolvesTheLagrangian: Ŵk = v*, (Ŵ−W)C = Λkᵀ, least cost among
// all changes with that constraint, and independence of C's scale (Meng et al.
// 2022, appendix A).
func TestClosedFormSolvesTheLagrangian(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 8))
	for trial := range 20 {
		in, out := 3+rng.IntN(12), 2+rng.IntN(10)
		p := newClosedForm(rng, in, out, 1)
		d := p.change(t)

		var got mat.VecDense
		got.MulVec(d, mat.NewVecDense(in, p.k))
		for i := range out {
			if v := p.y[i] + got.AtVec(i); math.Abs(v-p.target[i]) > 1e-9 {
				t.Errorf("trial %d: Ŵk[%d] = %v, want %v", trial, i, v, p.target[i])
			}
		}

		var dc mat.Dense
		dc.Mul(d, p.c)
		for i := range out {
			lambda := dc.At(i, 0) / p.k[0]
			for j := range in {
				if math.Abs(dc.At(i, j)-lambda*p.k[j]) > 1e-8*(1+math.Abs(lambda)) {
					t.Errorf("trial %d: (ΔC)[%d,%d] = %v is not Λ·k = %v", trial, i, j, dc.At(i, j), lambda*p.k[j])
				}
			}
		}

		least := p.cost(d)
		for range 10 {
			e := mat.NewDense(out, in, nil)
			for i := range out {
				row := e.RawRowView(i)
				for j := range row {
					row[j] = rng.NormFloat64()
				}
				along := dot(row, p.k) / dot(p.k, p.k)
				for j := range row {
					row[j] = d.At(i, j) + 0.1*(row[j]-along*p.k[j])
				}
			}
			if c := p.cost(e); c < least {
				t.Errorf("trial %d: another change with Δk = v*−Wk costs %v, less than %v", trial, c, least)
			}
		}

		p.c.ScaleSym(7, p.c)
		p.chol.Factorize(p.c)
		if scaled := p.change(t); !mat.EqualApprox(d, scaled, 1e-9) {
			t.Errorf("trial %d: the change depends on the scale of C", trial)
		}
	}
}

func TestAKeyAtRightAnglesIsAnError(t *testing.T) {
	if _, err := newUpdate(identity{}, []float64{1, 0}, []float64{0, 1}, []float64{0}, []float64{1}); err == nil {
		t.Error("no error for a division factor of 0")
	}
	if _, err := newUpdate(identity{}, []float64{0, 0}, []float64{0, 1}, []float64{0}, []float64{1}); err == nil {
		t.Error("no error for a key of 0")
	}
}
