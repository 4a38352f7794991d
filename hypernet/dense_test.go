package hypernet

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

func naive() Config { return small(func(c *Config) { c.Kind = "naive" }) }

func TestNaiveIsRefusedWithItsCount(t *testing.T) {
	for _, c := range []struct {
		in, out int
		want    string
	}{{1024, 1024, "1099511627776 parameters"}, {768, 3072, "5566277615616 parameters"}} {
		_, err := New(naive(), []lm.Site{shaped("small", 2, 2), shaped("w", c.in, c.out)}, rand.New(rand.NewPCG(1, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "kind: mend") {
			t.Errorf("%d × %d: error %v, want one that says %s and what to use", c.in, c.out, err, c.want)
		}
	}
}

// TestNaiveMapsTheWholeGradient checks outputs and gradients by the formula
// ΔW = M·vec(Σ δuᵀ), with two tasks, one of which has a row of zeros.
func TestNaiveMapsTheWholeGradient(t *testing.T) {
	site := shaped("w", 3, 2)
	net := made(t, naive(), []lm.Site{site}, true)
	r := newRig(t, net, 9)
	in := someRows(rand.New(rand.NewPCG(3, 3)), net.Sites, 6)
	clear(in[0].u.Data[3:6])
	r.tasks[0] = []nn.Range{{Lo: 0, Hi: 2}, {Lo: 2, Hi: 6}}
	raw := slices.Clone(r.tasks[0])
	if err := r.runTasks(in); err != nil {
		t.Fatal(err)
	}
	const n, wide = 6, 5
	w := doubled(net.Params()[0])
	z, grad := r.out(0), make([]float64, n*n)
	for task, q := range r.layouts[0].Tasks[0] {
		gradient := make([]float64, n) // [in, out]
		for i := raw[task].Lo; i < raw[task].Hi; i++ {
			for a := range 3 {
				for b := range 2 {
					gradient[2*a+b] += float64(in[0].u.Data[3*i+a]) * float64(in[0].delta.Data[2*i+b])
				}
			}
		}
		got, want := make([]float32, n), make([]float64, n)
		for i := q.Lo; i < q.Hi; i++ { // Σ ũδ̃ᵀ
			for a := range 3 {
				for b := range 2 {
					got[2*a+b] += z[i*wide+a] * z[i*wide+3+b]
				}
			}
		}
		for j := range n {
			for k := range n {
				want[j] += w[j*n+k] * gradient[k]
				grad[j*n+k] += float64(weightAt((q.Lo+j/2)*wide+3+j%2)) * gradient[k]
			}
		}
		near(t, "update", got, want, 1e-4)
	}
	near(t, "gradient of the map", r.grad(0), grad, 1e-4)
}

func TestTheFreshNaiveNetworkReturnsTheGradient(t *testing.T) {
	net := made(t, naive(), []lm.Site{shaped("w", 2, 2)}, false)
	w := doubled(net.Params()[0])
	for i, x := range w {
		want := 0.0
		if i%5 == 0 {
			want = 1
		}
		if math.Abs(x-want) > 0.01 {
			t.Errorf("element %d of the map is %v", i, x)
		}
	}
}
