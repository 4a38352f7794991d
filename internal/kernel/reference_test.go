package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// rowLengths holds short lengths, tails, and a length of several vectors.
var rowLengths = []int{1, 3, 8, 15, 16, 17, 31, 48, 65, 100, 576}

func randomRow(rng *rand.Rand, n int, sigma float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * sigma)
	}
	return x
}

func widened(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// closeTo fails unless |got-want| <= tol*(1+|want|) everywhere.
func closeTo(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); float64(got[i]) != w && !(d <= tol*(1+math.Abs(w))) {
			t.Fatalf("%s: element %d of %d is %v, want %v", what, i, len(want), got[i], w)
		}
	}
}

// sameBits fails unless a and b are the same bytes.
func sameBits(t *testing.T, what string, a, b []float32) {
	t.Helper()
	if !slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }) {
		for i := range a {
			if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
				t.Fatalf("%s: bytes differ from element %d of %d on: %v, %v", what, i, len(a), a[i], b[i])
			}
		}
		t.Fatalf("%s: lengths differ: %d, %d", what, len(a), len(b))
	}
}

// slope is the gradient of f at x by central differences in float64.
func slope(f func(x []float64) float64, x []float32) []float64 {
	const h = 1e-5
	at := widened(x)
	g := make([]float64, len(x))
	for i, v := range at {
		at[i] = v + h
		up := f(at)
		at[i] = v - h
		g[i] = (up - f(at)) / (2 * h)
		at[i] = v
	}
	return g
}

func refDot(a []float64, b []float32) float64 {
	s := 0.0
	for i, v := range a {
		s += v * float64(b[i])
	}
	return s
}

func testEngine(t *testing.T, threads int) *Engine {
	t.Helper()
	e, err := New(Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func refNorm(x, gain, bias []float64, eps float64, rows, cols int, centre bool) []float64 {
	y := make([]float64, len(x))
	for r := range rows {
		row := x[r*cols : (r+1)*cols]
		mean, variance := 0.0, 0.0
		if centre {
			for _, v := range row {
				mean += v / float64(cols)
			}
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean) / float64(cols)
		}
		for c, v := range row {
			y[r*cols+c] = (v - mean) / math.Sqrt(variance+eps) * gain[c]
			if bias != nil {
				y[r*cols+c] += bias[c]
			}
		}
	}
	return y
}

func TestNormsAgreeWithReferenceAndDifferences(t *testing.T) {
	const eps, rows = 1e-5, 3
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		rng := rand.New(rand.NewPCG(1, 2))
		for _, cols := range rowLengths {
			x, dy := randomRow(rng, rows*cols, 2), randomRow(rng, rows*cols, 1)
			gain, bias := randomRow(rng, cols, 1), randomRow(rng, cols, 1)
			xw, gw, bw := widened(x), widened(gain), widened(bias)
			for _, centre := range []bool{true, false} {
				name := fmt.Sprintf("%d columns, centre %v: ", cols, centre)
				y, dx, dgain := make([]float32, len(x)), make([]float32, len(x)), randomRow(rng, cols, 1)
				dgain0 := widened(dgain)
				if centre {
					dbias := make([]float32, cols)
					e.LayerNorm(y, x, gain, bias, eps, rows, cols)
					closeTo(t, name+"y", y, refNorm(xw, gw, bw, eps, rows, cols, true), 1e-5)
					e.LayerNormParamGrad(dgain, dbias, x, dy, eps, rows, cols)
					closeTo(t, name+"dbias", dbias, slope(func(b []float64) float64 {
						return refDot(refNorm(xw, gw, b, eps, rows, cols, true), dy)
					}, bias), 1e-5)
					e.LayerNorm(y, x, gain, nil, eps, rows, cols)
					e.LayerNormGrad(dx, x, gain, dy, eps, rows, cols)
				} else {
					e.RMSNorm(y, x, gain, eps, rows, cols)
					e.RMSNormGrad(dx, x, gain, dy, eps, rows, cols)
					e.RMSNormParamGrad(dgain, x, dy, eps, rows, cols)
				}
				closeTo(t, name+"y without bias", y, refNorm(xw, gw, nil, eps, rows, cols, centre), 1e-5)
				want := slope(func(g []float64) float64 {
					return refDot(refNorm(xw, g, nil, eps, rows, cols, centre), dy)
				}, gain)
				for c := range want {
					want[c] += dgain0[c]
				}
				closeTo(t, name+"dgain", dgain, want, 1e-5)
				if cols == 1 && centre { // every row is constant: x-mean is 0, differences see only eps
					continue
				}
				closeTo(t, name+"dx", dx, slope(func(x []float64) float64 {
					return refDot(refNorm(x, gw, nil, eps, rows, cols, centre), dy)
				}, x), 2e-4)
			}
		}
	})
}

func refActivation(kind Activation, x float64) float64 {
	switch kind {
	case GELUTanh:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case GELU:
		return x / 2 * math.Erfc(-x/math.Sqrt2)
	case SiLU:
		return x / (1 + math.Exp(-x))
	case ReLU:
		return math.Max(x, 0)
	default:
		return math.Tanh(x)
	}
}

func TestActivationsAgreeWithReferenceAndDifferences(t *testing.T) {
	x := []float32{0, 1e-8, -1e-8, 1e-3, -1e-3, 20, -20, 88, -88, 90, -90, 1000, -1000, 1e10, -1e10}
	for v := float32(-12); v < 12; v += 0.013 {
		x = append(x, v)
	}
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		dy := randomRow(rand.New(rand.NewPCG(3, 4)), len(x), 1)
		for kind := GELUTanh; kind <= Tanh; kind++ {
			y, dx := make([]float32, len(x)), make([]float32, len(x))
			e.Activate(kind, y, x)
			e.ActivateGrad(kind, dx, x, dy)
			for i, v := range x {
				want := refActivation(kind, float64(v))
				closeTo(t, fmt.Sprintf("%v(%v)", kind, v), y[i:i+1], []float64{want}, 3e-7)
				h := 1e-6 * (1 + math.Abs(float64(v)))
				d := (refActivation(kind, float64(v)+h) - refActivation(kind, float64(v)-h)) / (2 * h) * float64(dy[i])
				if kind == ReLU && v == 0 {
					d = 0
				}
				if kind == ReLU && math.Abs(float64(v)) < h {
					continue
				}
				closeTo(t, fmt.Sprintf("slope of %v at %v", kind, v), dx[i:i+1], []float64{d}, 1e-6)
			}
			if kind == Tanh || kind == SiLU { // relative error near 0
				in := []float32{1e-6, -3e-5, 2e-4, 0.01, -0.1, 0.3}
				out := make([]float32, len(in))
				e.Activate(kind, out, in)
				for i, v := range in {
					want := refActivation(kind, float64(v))
					if rel := math.Abs(float64(out[i])/want - 1); rel > 5e-7 {
						t.Errorf("%v(%v) is %v, want %v", kind, v, out[i], want)
					}
				}
			}
			nan := []float32{float32(math.NaN())}
			e.Activate(kind, nan, nan)
			if nan[0] == nan[0] {
				t.Errorf("%v(NaN) is %v, want NaN", kind, nan[0])
			}
		}
	})
}

func TestSoftCapAgreesWithReferenceAndDifferences(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		rng := rand.New(rand.NewPCG(7, 8))
		for _, n := range rowLengths {
			x, dy := randomRow(rng, n, 5), randomRow(rng, n, 1)
			f := func(x []float64) []float64 {
				y := make([]float64, n)
				for i := range y {
					y[i] = 3 * math.Tanh(x[i]/3)
				}
				return y
			}
			y, dx := make([]float32, n), make([]float32, n)
			e.SoftCap(y, x, 3)
			e.SoftCapGrad(dx, y, dy, 3)
			closeTo(t, "y", y, f(widened(x)), 1e-6)
			closeTo(t, "dx", dx, slope(func(x []float64) float64 { return refDot(f(x), dy) }, x), 1e-6)
		}
	})
}

func TestGatedSiLUAgreesWithReferenceAndDifferences(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		rng := rand.New(rand.NewPCG(5, 6))
		for _, n := range rowLengths {
			g, u, dy := randomRow(rng, n, 3), randomRow(rng, n, 1), randomRow(rng, n, 1)
			f := func(g, u []float64) []float64 {
				y := make([]float64, n)
				for i := range y {
					y[i] = refActivation(SiLU, g[i]) * u[i]
				}
				return y
			}
			y, dg, du := make([]float32, n), make([]float32, n), make([]float32, n)
			e.GatedSiLU(y, g, u)
			e.GatedSiLUGrad(dg, du, g, u, dy)
			gw, uw := widened(g), widened(u)
			closeTo(t, "y", y, f(gw, uw), 1e-6)
			closeTo(t, "dg", dg, slope(func(g []float64) float64 { return refDot(f(g, uw), dy) }, g), 1e-6)
			closeTo(t, "du", du, slope(func(u []float64) float64 { return refDot(f(gw, u), dy) }, u), 1e-6)
		}
	})
}
