package optim_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/train/optim"
)

func engine(t *testing.T, threads int) *kernel.Engine {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// reference is Adam in float64 as Kingma and Ba (2015) write it, on gradients
// that were averaged and clipped as clip_grad_norm_ does.
type reference struct {
	w, m, v []float64
	steps   int
}

func (r *reference) step(sums []float64, o optim.Outer) {
	square := 0.0
	for _, g := range sums {
		square += (g / float64(o.Divisor)) * (g / float64(o.Divisor))
	}
	clip := min(1, o.Clip/(math.Sqrt(square)+1e-6))
	r.steps++
	for i, sum := range sums {
		g := sum / float64(o.Divisor) * clip
		r.m[i] = 0.9*r.m[i] + 0.1*g
		r.v[i] = 0.999*r.v[i] + 0.001*g*g
		mean := r.m[i] / (1 - math.Pow(0.9, float64(r.steps)))
		root := math.Sqrt(r.v[i] / (1 - math.Pow(0.999, float64(r.steps))))
		lr := o.LR
		if i >= len(sums)-o.Rates {
			lr = o.RateLR
		}
		r.w[i] -= lr * mean / (root + 1e-8)
	}
}

func near(t *testing.T, name string, got []float32, want []float64) {
	t.Helper()
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= 1e-5*max(1e-3, math.Abs(w))) {
			t.Errorf("%s[%d] is %v, want %v", name, i, got[i], w)
		}
	}
}

// TestStepsAgreeWithAdamInFloat64: thirty steps with two rates, gradients that
// are sums of four examples, some of them clipped.
func TestStepsAgreeWithAdamInFloat64(t *testing.T) {
	const n = 37
	k := engine(t, 2)
	o := optim.Outer{LR: 1e-3, RateLR: 2e-2, Rates: 3, Divisor: 4, Clip: 0.6}
	rng := rand.New(rand.NewPCG(1, 2))
	params, grads, s := make([]float32, n), make([]float32, n), optim.NewState(n)
	r := reference{w: make([]float64, n), m: make([]float64, n), v: make([]float64, n)}
	for i := range params {
		params[i] = float32(rng.NormFloat64())
		r.w[i] = float64(params[i])
	}
	clipped := 0
	for step := range 30 {
		sums := make([]float64, n)
		for i := range grads {
			grads[i] = float32(rng.NormFloat64() * 0.01 * float64(1+step*2))
			sums[i] = float64(grads[i])
		}
		norm := o.Norm(k, grads)
		if norm > o.Clip {
			clipped++
		}
		o.Step(k, params, grads, norm, &s)
		r.step(sums, o)
		if slices.ContainsFunc(grads, func(g float32) bool { return g != 0 }) {
			t.Fatalf("step %d leaves gradients behind", step+1)
		}
	}
	if clipped == 0 || clipped == 30 {
		t.Errorf("%d of 30 steps were clipped; the test wants both kinds", clipped)
	}
	if s.Steps != 30 {
		t.Errorf("%d steps counted, want 30", s.Steps)
	}
	near(t, "w", params, r.w)
	near(t, "m", s.M, r.m)
	near(t, "v", s.V, r.v)
}

// TestFirstStep: by hand, the first step is the rate times the gradient's sign,
// whatever its size, and nothing where the gradient is zero (no weight decay).
func TestFirstStep(t *testing.T) {
	k := engine(t, 1)
	o := optim.Outer{LR: 0.25, RateLR: 0.5, Rates: 1, Divisor: 1, Clip: 1e9}
	params, grads, s := []float32{1, 1, 1, 1, 1}, []float32{3, -2000, 0.01, 0, -5}, optim.NewState(5)
	o.Step(k, params, grads, o.Norm(k, grads), &s)
	near(t, "w", params, []float64{0.75, 1.25, 0.75, 1, 1.5})
}

// TestClipping: the moments show the gradient that Adam was given. The sums
// (6, 8) of two examples have the mean (3, 4), of norm 5.
func TestClipping(t *testing.T) {
	k := engine(t, 1)
	for _, c := range []struct {
		name  string
		clip  float64
		scale float64
	}{
		{"far below the bound", 100, 1},
		{"a little below the bound", 5.1, 1},
		{"above the bound", 0.5, 0.1},
		{"far above the bound", 5e-4, 1e-4},
	} {
		o := optim.Outer{LR: 1e-3, RateLR: 1e-3, Divisor: 2, Clip: c.clip}
		params, grads, s := []float32{0, 0}, []float32{6, 8}, optim.NewState(2)
		norm := o.Norm(k, grads)
		if math.Abs(norm-5) > 1e-9 {
			t.Fatalf("norm %v, want 5", norm)
		}
		o.Step(k, params, grads, norm, &s)
		near(t, c.name+": m", s.M, []float64{0.1 * 3 * c.scale, 0.1 * 4 * c.scale})
	}
}

// TestRates: the last Rates parameters have the other rate, also when there
// are none, or nothing else.
func TestRates(t *testing.T) {
	k := engine(t, 1)
	for rates, want := range [][]float64{{-1, -1}, {-1, -2}, {-2, -2}} {
		o := optim.Outer{LR: 1, RateLR: 2, Rates: rates, Divisor: 1, Clip: 1e9}
		params, grads, s := []float32{0, 0}, []float32{1, 1}, optim.NewState(2)
		o.Step(k, params, grads, 1, &s)
		near(t, "w", params, want)
	}
}

// TestThreadsChangeNoByte runs a size that several threads share.
func TestThreadsChangeNoByte(t *testing.T) {
	const n = 1 << 18
	var first []float32
	var firstNorm float64
	for _, threads := range []int{1, 2, 3} {
		k := engine(t, threads)
		rng := rand.New(rand.NewPCG(5, 6))
		params, grads, s := make([]float32, n), make([]float32, n), optim.NewState(n)
		for i := range grads {
			grads[i] = float32(rng.NormFloat64())
		}
		o := optim.Outer{LR: 1e-3, RateLR: 1e-2, Rates: 5, Divisor: 3, Clip: 1}
		norm := o.Norm(k, grads)
		o.Step(k, params, grads, norm, &s)
		if first == nil {
			first, firstNorm = params, norm
		}
		if norm != firstNorm || !slices.Equal(params, first) {
			t.Errorf("%d threads: another norm or other parameters than one", threads)
		}
	}
}
