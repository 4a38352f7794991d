package memit

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/internal/kernel"
)

func TestEditorPassesTheSuite(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		t.Run(arch, func(t *testing.T) {
			edittest.Run(t, edittest.TinyModel(t, arch), func(k *kernel.Engine) (edit.Editor, error) {
				c := Default()
				c.Layers, c.Weight, c.Clamp = []int{0, 1, 2}, 10, 4
				c.Contexts.Count, c.Contexts.Lengths, c.Contexts.Starts = 2, []int{4}, []string{"The"}
				c.EditKnown, c.MaxRatio, c.MaxPerplexity = true, 100, 100
				return New(k, c, edittest.Moments(t, k))
			}, edittest.Options{Subject: true})
		})
	}
}

// dense is a positive definite matrix by its factor.
type dense struct{ chol mat.Cholesky }

// SolveAll implements moment.
func (d *dense) SolveAll(k mat.Matrix) (*mat.Dense, error) {
	var x mat.Dense
	err := d.chol.SolveTo(&x, k)
	return &x, err
}

// problem is a random C [in, in] and keys [in, n].
func problem(rng *rand.Rand, in, n int) (c *mat.SymDense, d *dense, k *mat.Dense) {
	draw := func(size int) []float64 {
		x := make([]float64, size)
		for i := range x {
			x[i] = rng.NormFloat64()
		}
		return x
	}
	c, d = new(mat.SymDense), &dense{}
	c.SymOuterK(1/float64(3*in), mat.NewDense(in, 3*in, draw(3*in*in)))
	d.chol.Factorize(c)
	return c, d, mat.NewDense(in, n, draw(in*n))
}

// TestTheSmallSystemEqualsTheLarge: (λC + KKᵀ)·X = K (Meng et al. 2023, eq. 14).
func TestTheSmallSystemEqualsTheLarge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][2]int{{5, 1}, {8, 3}, {12, 12}, {6, 9}} {
		c, d, k := problem(rng, size[0], size[1])
		const lambda = 3.5
		x, err := spread(d, k, lambda)
		if err != nil {
			t.Fatal(err)
		}
		var large, kk, got mat.Dense
		kk.Mul(k, k.T())
		large.Scale(lambda, c)
		large.Add(&large, &kk)
		got.Mul(&large, x)
		if !mat.EqualApprox(&got, k, 1e-9) {
			t.Errorf("in %d, %d requests: (λC + KKᵀ)·X differs from K", size[0], size[1])
		}
	}
}

func TestWithoutOldFactsAKeyIsMappedToItsValue(t *testing.T) {
	_, d, k := problem(rand.New(rand.NewPCG(3, 4)), 9, 1)
	x, err := spread(d, k, 1e-12)
	if err != nil {
		t.Fatal(err)
	}
	var one mat.Dense
	one.Mul(x.T(), k)
	if math.Abs(one.At(0, 0)-1) > 1e-9 {
		t.Errorf("Xᵀ·k is %v, want 1: R·Xᵀ·k would not be R", one.At(0, 0))
	}
}

// TestTheResidualIsDividedByTheSitesLeft: z − h is spread over the sites in
// equal parts of what is left (Meng et al. 2023, eq. 20), so the norm of a
// site's right factor is that of z, times the relative distance from it, over
// the number of sites from this one to the last.
func TestTheResidualIsDividedByTheSitesLeft(t *testing.T) {
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	m := edittest.TinyModel(t, "gpt2")
	apply := func(layers ...int) *edit.Edited {
		c := Default()
		c.Layers, c.Weight, c.Clamp = layers, 10, 4
		c.Contexts.Count, c.Contexts.Lengths, c.Contexts.Starts = 2, []int{4}, []string{"The"}
		c.EditKnown, c.MaxRatio, c.MaxPerplexity = true, 100, 100
		ed, err := New(k, c, edittest.Moments(t, k))
		if err != nil {
			t.Fatal(err)
		}
		out, err := ed.Apply(context.Background(), m, edittest.Requests()[:1])
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Changes) != len(layers) {
			t.Fatalf("%d changes of %d sites", len(out.Changes), len(layers))
		}
		return out
	}
	missing := func(e *edit.Edited, block int) float64 {
		for _, f := range e.Report {
			if f.Name == fmt.Sprintf("missing[%d]", block) {
				return f.Value.(float64)
			}
		}
		t.Fatalf("the report does not say what is missing at block %d", block)
		return 0
	}
	length := func(e *edit.Edited, i int) float64 {
		sum := 0.0
		for _, v := range e.Changes[i].Delta.D.Data {
			sum += float64(v) * float64(v)
		}
		return math.Sqrt(sum)
	}
	one := apply(2) // of the last block alone, z is the same as of several that end there
	z := length(one, 0) / missing(one, 2)
	for _, layers := range [][]int{{1, 2}, {0, 1, 2}} {
		e := apply(layers...)
		for i, block := range layers {
			left := float64(len(layers) - i)
			if got, want := length(e, i), z*missing(e, block)/left; math.Abs(got/want-1) > 1e-5 {
				t.Errorf("layers %v: the residual at block %d is %v long, want %v, a part of %v", layers, block, got, want, left)
			}
		}
	}
}
