package pretrain

import (
	"math"
	"math/rand/v2"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// TestRateAtKnownPoints: linear to the highest rate, then a cosine to a
// hundredth of it.
func TestRateAtKnownPoints(t *testing.T) {
	c := TrainConfig{LR: 2, Warmup: 10}
	for _, x := range []struct {
		step int
		want float64
	}{
		{0, 0.2}, {4, 1}, {9, 2}, {10, 2},
		{60, 2 * (0.01 + 0.99/2)}, {110, 0.02},
	} {
		if got := c.rate(x.step, 110); math.Abs(got-x.want) > 1e-12 {
			t.Errorf("step %d: %v, want %v", x.step, got, x.want)
		}
	}
}

// TestStepsAgreeWithAdamWInFloat64: matrices decay, vectors do not; the
// gradient is clipped by its norm before the moments see it.
func TestStepsAgreeWithAdamWInFloat64(t *testing.T) {
	model, err := lm.New((&ModelConfig{Layers: 2, Width: 16, Heads: 2, FFN: 24, Context: 8}).lm(300), rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	batch := []sentence{
		{ids: []int32{5, 9, 200, 7}, object: nn.Range{Lo: 2, Hi: 3}},
		{ids: []int32{9, 9, 12}, object: nn.Range{Lo: 0, Hi: 2}},
	}
	n, err := newNetwork(model, k, rows(batch, 2))
	if err != nil {
		t.Fatal(err)
	}
	c := &TrainConfig{WeightDecay: 0.1, Beta2: 0.98, GradClip: 0.5, ContextShare: 0.5, ContextWeight: 0.2}
	m, v := make([]float64, len(n.values)), make([]float64, len(n.values))
	clipped := 0
	for step := 1; step <= 5; step++ {
		lr := 1e-3 * float64(step)
		n.batch.set(batch, 1, 0.2)
		if err := n.machine.Run(false); err != nil {
			t.Fatal(err)
		}
		square := 0.0
		for _, g := range n.grads {
			square += float64(g) * float64(g)
		}
		clip := min(1, c.GradClip/math.Sqrt(square))
		if clip < 1 {
			clipped++
		}
		want := make([]float64, len(n.values))
		at := 0
		for _, p := range model.Params() {
			for i := at; i < at+p.Len(); i++ {
				w, g := float64(n.values[i]), float64(n.grads[i])*clip
				if p.Rows > 1 {
					w -= lr * c.WeightDecay * w
				}
				m[i] = 0.9*m[i] + 0.1*g
				v[i] = 0.98*v[i] + 0.02*g*g
				mean, root := m[i]/(1-math.Pow(0.9, float64(step))), math.Sqrt(v[i]/(1-math.Pow(0.98, float64(step))))
				want[i] = w - lr*mean/(root+1e-8)
			}
			at += p.Len()
		}
		if _, err := n.step(batch, c, lr); err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			if d := math.Abs(float64(n.values[i]) - w); d > 1e-6+1e-5*math.Abs(w) {
				t.Fatalf("step %d, value %d: %v, want %v", step, i, n.values[i], w)
			}
		}
	}
	if clipped == 0 {
		t.Error("no step was clipped")
	}
}
