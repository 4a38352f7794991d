package alphaedit

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/edit/spread"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

func sqrt(x float64) float64 { return math.Sqrt(x) }

// tiny is a config that suits edittest's models.
func tiny() Config {
	c := Default()
	c.Layers, c.L2, c.Share, c.Clamp = []int{1, 2}, 0.1, 0.6, 4
	c.Contexts.Count, c.Contexts.Lengths, c.Contexts.Starts = 2, []int{4}, []string{"The"}
	c.EditKnown, c.MaxRatio, c.MaxPerplexity = true, 100, 100
	return c
}

// space is a system with r of m random orthonormal directions.
func space(rng *rand.Rand, m, r int, lambda float64) *system {
	x := mat.NewDense(m, m, nil)
	for i := range m {
		for j := range m {
			x.Set(i, j, rng.NormFloat64())
		}
	}
	var qr mat.QR
	qr.Factorize(x)
	var q mat.Dense
	qr.QTo(&q)
	s := &system{lambda: lambda, sites: []basis{{width: m}}}
	if r > 0 {
		s.sites[0].kept = mat.DenseCopyOf(q.Slice(0, m, 0, r).T())
	}
	return s
}

func random(rng *rand.Rand, rows, cols int) *mat.Dense {
	x := mat.NewDense(rows, cols, nil)
	for i := range rows {
		for j := range cols {
			x.Set(i, j, rng.NormFloat64())
		}
	}
	return x
}

func (s *system) solved(t *testing.T, k *mat.Dense, n int) *mat.Dense {
	t.Helper()
	b, err := s.Transform(0, k)
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.Solve(0, b, n)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestTheSystemIsThePublishedOne: (P·A + λI)·X = P·K for A = Σ k·kᵀ over all keys,
// with more keys than directions and with fewer, and X = P·X.
func TestTheSystemIsThePublishedOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []struct{ m, r, all, n int }{{9, 5, 3, 2}, {9, 5, 12, 4}, {7, 7, 3, 3}, {6, 1, 2, 1}} {
		const lambda = 0.7
		s := space(rng, size.m, size.r, lambda)
		k := random(rng, size.m, size.all)
		x := s.solved(t, k, size.n)
		var p, a, left, got, px, want mat.Dense
		p.Mul(s.sites[0].kept.T(), s.sites[0].kept)
		a.Mul(k, k.T())
		left.Mul(&p, &a)
		for i := range size.m {
			left.Set(i, i, left.At(i, i)+lambda)
		}
		got.Mul(&left, x)
		want.Mul(&p, k.Slice(0, size.m, size.all-size.n, size.all))
		px.Mul(&p, x)
		if !mat.EqualApprox(&got, &want, 1e-10) || !mat.EqualApprox(&px, x, 1e-10) {
			t.Errorf("%+v: X does not solve the system, or leaves the kept directions", size)
		}
	}
}

func TestKeysThatTheProjectorRemovesChangeNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	s := space(rng, 8, 3, 1)
	k := random(rng, 8, 2)
	var in, kept mat.Dense
	in.Mul(s.sites[0].kept, k)
	kept.Mul(s.sites[0].kept.T(), &in)
	k.Sub(k, &kept)
	if x := s.solved(t, k, 2); mat.Norm(x, 2) > 1e-12 {
		t.Errorf("norm %v of a change that nothing survives of", mat.Norm(x, 2))
	}
	none := space(rng, 8, 0, 1)
	if x := none.solved(t, k, 2); mat.Norm(x, 2) != 0 {
		t.Error("without directions there is a change")
	}
}

// TestRoundsAddUpToOneEdit: the minimum for all keys at once is reached by rounds.
func TestRoundsAddUpToOneEdit(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const m, out = 10, 3
	s := space(rng, m, 6, 0.4)
	k, v := random(rng, m, 9), random(rng, out, 9)
	once, sum := mat.NewDense(out, m, nil), mat.NewDense(out, m, nil)
	once.Mul(v, s.solved(t, k, 9).T())
	at := 0
	for _, n := range []int{2, 1, 4, 2} {
		own := k.Slice(0, m, at, at+n)
		var done, residual, update mat.Dense
		done.Mul(sum, own)
		residual.Sub(v.Slice(0, out, at, at+n), &done)
		update.Mul(&residual, s.solved(t, mat.DenseCopyOf(k.Slice(0, m, 0, at+n)), n).T())
		sum.Add(sum, &update)
		at += n
	}
	if !mat.EqualApprox(sum, once, 1e-9) {
		t.Error("rounds differ from one edit of all")
	}
}

func TestThresholdsThatCannotWorkAreRefused(t *testing.T) {
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	m := edittest.TinyModel(t, "gpt2")
	for want, set := range map[string]func(*Config){
		"keeps none":  func(c *Config) { c.Threshold = 1e-12 },
		"keeps all":   func(c *Config) { c.Threshold = 1e12 },
		"fewer than":  func(c *Config) { c.Share = 1e-3 },
		"not between": func(c *Config) { c.Share = 1 },
		"L2":          func(c *Config) { c.L2 = 0 },
		"negative":    func(c *Config) { c.Threshold = -1 },
		"layers":      func(c *Config) { c.Layers = []int{2, 1} },
	} {
		c := tiny()
		set(&c)
		ed, err := New(k, c, edittest.Moments(t, k))
		if err == nil {
			requests := slices.Repeat(edittest.Requests(), 40)
			_, err = ed.Apply(context.Background(), m, requests)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestAFullMemoryIsRefused(t *testing.T) {
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	m := edittest.TinyModel(t, "gpt2")
	ed, err := New(k, tiny(), edittest.Moments(t, k))
	if err != nil {
		t.Fatal(err)
	}
	first, err := ed.Apply(t.Context(), m, edittest.Requests()[:1])
	if err != nil {
		t.Fatal(err)
	}
	h := *first.Memory.(*spread.History)
	h.Facts = slices.Repeat(h.Facts, 1000)
	_, err = ed.Continue(t.Context(), m, &edit.Edited{Editor: "alphaedit", Memory: &h}, edittest.Requests()[1:2])
	if err == nil || !strings.Contains(err.Error(), "the memory is full: it holds 1000 earlier edits") {
		t.Errorf("error %v", err)
	}
}

func TestASequenceGoesOnFromAFile(t *testing.T) {
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	have := map[string]*stats.Moment{} // of the unedited model
	moments := func(m *lm.Model, s lm.Site) (*stats.Moment, error) {
		if have[s.Name] == nil {
			found, err := edittest.Moments(t, k)(m, s)
			if err != nil {
				return nil, err
			}
			have[s.Name] = found
		}
		return have[s.Name], nil
	}
	editor := func() *Editor {
		ed, err := New(k, tiny(), moments)
		if err != nil {
			t.Fatal(err)
		}
		return ed
	}
	m := edittest.TinyModel(t, "llama")
	requests := edittest.Requests()
	first, err := editor().Apply(context.Background(), m, requests[:1])
	if err != nil {
		t.Fatal(err)
	}
	undo, err := first.Install(m, k)
	if err != nil {
		t.Fatal(err)
	}
	defer undo()
	p, err := first.Memory.Pack()
	if err != nil {
		t.Fatal(err)
	}
	again := *first
	if again.Memory, err = editor().Open(context.Background(), m, p); err != nil {
		t.Fatal(err)
	}
	next := func(last *edit.Edited) *edit.Edited {
		e, err := editor().Continue(context.Background(), m, last, requests[1:2])
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	a, b, alone := next(first), next(&again), next(nil)
	if !slices.Equal(a.Changes[1].Delta.U.Data, b.Changes[1].Delta.U.Data) {
		t.Error("keys from a file give another edit")
	}
	if slices.Equal(a.Changes[1].Delta.U.Data, alone.Changes[1].Delta.U.Data) {
		t.Error("earlier keys do not count")
	}
	if len(b.Memory.(*spread.History).Facts) != 2 {
		t.Error("the history has not both facts")
	}
	if _, err := editor().Continue(context.Background(), m, &edit.Edited{Editor: "x"}, requests[1:2]); err == nil {
		t.Error("a sequence went on without its keys")
	}
}
