package verdict

import (
	"math"
	"testing"
)

// The divergence of two distributions over two tokens, by hand.
func TestDivergence(t *testing.T) {
	a, b := distribution([]float32{0, 0}), distribution([]float32{float32(math.Log(3)), 0})
	want := 0.5*math.Log(0.5/0.75) + 0.5*math.Log(0.5/0.25)
	if got := a.divergence(b); math.Abs(got-want) > 1e-6 {
		t.Errorf("KL %v, want %v", got, want)
	}
	if got := a.divergence(a); got != 0 {
		t.Errorf("KL %v of equal ones", got)
	}
	if b.best != 0 || math.Abs(b.log(1)-math.Log(0.25)) > 1e-6 {
		t.Errorf("best %d, log %v", b.best, b.log(1))
	}
	nan := distribution([]float32{float32(math.NaN()), 1})
	if got := a.divergence(nan); !math.IsNaN(got) {
		t.Errorf("KL %v to no numbers", got)
	}
}
