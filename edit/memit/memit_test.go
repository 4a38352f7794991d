package memit

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/edit/spread"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
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

// solve is X for the last n keys.
func solve(t *testing.T, d moment, k *mat.Dense, lambda float64, n int) *mat.Dense {
	t.Helper()
	s := &system{moments: []moment{d}, lambda: lambda}
	both, err := s.Transform(0, k)
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.Solve(0, both, n)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestASequenceEqualsTheOneShotSolution: rounds that count earlier keys add up to
// the minimum over all facts at once, Δ = (V − W·K)·Kᵀ·(λC + KKᵀ)⁻¹, for the
// residuals that each round finds.
func TestASequenceEqualsTheOneShotSolution(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const in, out, lambda = 11, 4, 2.5
	for _, rounds := range [][]int{{1, 1, 1}, {3, 2}, {6, 1, 9}} {
		n := 0
		for _, r := range rounds {
			n += r
		}
		_, d, k := problem(rng, in, n)
		v := mat.NewDense(out, n, nil) // V − W·K: wanted changes
		for i := range out {
			for j := range n {
				v.Set(i, j, rng.NormFloat64())
			}
		}
		once, sum := mat.NewDense(out, in, nil), mat.NewDense(out, in, nil)
		once.Mul(v, solve(t, d, k, lambda, n).T())
		at := 0
		for _, r := range rounds {
			own, seen := k.Slice(0, in, at, at+r), mat.DenseCopyOf(k.Slice(0, in, 0, at+r))
			var done, residual, update mat.Dense
			done.Mul(sum, own)
			residual.Sub(v.Slice(0, out, at, at+r), &done)
			update.Mul(&residual, solve(t, d, seen, lambda, r).T())
			sum.Add(sum, &update)
			at += r
		}
		if !mat.EqualApprox(sum, once, 1e-8) {
			t.Errorf("rounds of %v differ from one of all", rounds)
		}
	}
}

// TestTheSmallSystemEqualsTheLarge: (λC + KKᵀ)·X = K (Meng et al. 2023, eq. 14).
func TestTheSmallSystemEqualsTheLarge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][2]int{{5, 1}, {8, 3}, {12, 12}, {6, 9}} {
		c, d, k := problem(rng, size[0], size[1])
		const lambda = 3.5
		x := solve(t, d, k, lambda, size[1])
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
	x := solve(t, d, k, 1e-12, 1)
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

// sequence applies requests one by one, each behind the last, with its edits in
// the model, and returns the edits.
func sequence(t *testing.T, k *kernel.Engine, m *lm.Model, ed *Editor, last *edit.Edited, requests []edit.Request) []*edit.Edited {
	t.Helper()
	var out []*edit.Edited
	for _, r := range requests {
		e, err := ed.Continue(context.Background(), m, last, []edit.Request{r})
		if err != nil {
			t.Fatal(err)
		}
		undo, err := e.Install(m, k)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(undo)
		out, last = append(out, e), e
	}
	return out
}

func TestHistoryCountsEarlierKeysAndSurvivesAFile(t *testing.T) {
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	of := func(history bool, layers ...int) *Editor {
		c := Default()
		c.Layers, c.Weight, c.Clamp, c.History = layers, 10, 4, history
		c.Contexts.Count, c.Contexts.Lengths, c.Contexts.Starts = 2, []int{4}, []string{"The"}
		c.EditKnown, c.MaxRatio, c.MaxPerplexity = true, 100, 100
		ed, err := New(k, c, edittest.Moments(t, k))
		if err != nil {
			t.Fatal(err)
		}
		return ed
	}
	editor := func(history bool) *Editor { return of(history, 1, 2) }
	requests := edittest.Requests()
	third := requests[0]
	third.ID, third.Prompt = "third", "Often "+third.Prompt
	requests = append(requests[:2:2], third)
	with := sequence(t, k, edittest.TinyModel(t, "gpt2"), editor(true), nil, requests)
	without := sequence(t, k, edittest.TinyModel(t, "gpt2"), editor(false), nil, requests)
	same := func(a, b *edit.Edited) bool {
		return slices.Equal(a.Changes[0].Delta.U.Data, b.Changes[0].Delta.U.Data)
	}
	if !same(with[0], without[0]) || same(with[1], without[1]) {
		t.Error("history changes the first edit, or not the second")
	}
	h := with[2].Memory.(*spread.History)
	if len(h.Facts) != 3 || h.Keys[0].Rows != 3 || without[2].Memory != nil {
		t.Errorf("%d facts, %d keys", len(h.Facts), h.Keys[0].Rows)
	}

	// a history that was packed and opened gives the same bytes
	m := edittest.TinyModel(t, "gpt2")
	ed := editor(true)
	first := sequence(t, k, m, ed, nil, requests[:2])
	p, err := first[1].Memory.Pack()
	if err != nil {
		t.Fatal(err)
	}
	again := *first[1]
	if again.Memory, err = editor(true).Open(context.Background(), m, p); err != nil {
		t.Fatal(err)
	}
	if third := sequence(t, k, m, editor(true), &again, requests[2:]); !same(third[0], with[2]) {
		t.Error("a history from a file gives other bytes")
	}

	// another answer to a fact takes the place of the old one
	r := requests[0]
	r.ID, r.Target = "again", requests[1].Target
	last := sequence(t, k, m, ed, &again, []edit.Request{r})
	if n := len(last[0].Memory.(*spread.History).Facts); n != 2 {
		t.Errorf("%d facts after one was written anew; want 2", n)
	}

	if _, err := of(true, 0, 2).Continue(context.Background(), m, first[1], requests[2:]); err == nil || !strings.Contains(err.Error(), "layers") {
		t.Errorf("keys of other layers: got %v", err)
	}
	if _, err := ed.Continue(context.Background(), m, without[1], requests[2:]); err == nil || !strings.Contains(err.Error(), "history") {
		t.Errorf("an edit without keys: got %v", err)
	}
	if _, err := ed.Open(context.Background(), edittest.TinyModel(t, "llama"), p); err == nil {
		t.Error("keys of another model were opened")
	}
}
