package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// primitives lists every vector primitive as a function of four random rows
// of one length; it returns what the primitive computed.
var primitives = []struct {
	name string
	run  func(a, b, c, d []float32) []float32
}{
	{"addTo", func(a, b, c, d []float32) []float32 { addTo(a, b); return a }},
	{"add", func(a, b, c, d []float32) []float32 { add(a, b, c); return a }},
	{"mul", func(a, b, c, d []float32) []float32 { mul(a, b, c); return a }},
	{"mulAdd", func(a, b, c, d []float32) []float32 { mulAdd(a, b, c); return a }},
	{"scale", func(a, b, c, d []float32) []float32 { scale(a, 0.3); return a }},
	{"axpy", func(a, b, c, d []float32) []float32 { axpy(a, 0.3, b); return a }},
	{"sum", func(a, b, c, d []float32) []float32 { return []float32{sum(a)} }},
	{"dot", func(a, b, c, d []float32) []float32 { return []float32{dot(a, b)} }},
	{"sumSquares", func(a, b, c, d []float32) []float32 { return []float32{float32(sumSquares(a))} }},
	{"sumSqDev", func(a, b, c, d []float32) []float32 { return []float32{sumSqDev(a, 0.1)} }},
	{"maxAbsBits", func(a, b, c, d []float32) []float32 { return []float32{math.Float32frombits(maxAbsBits(a))} }},
	{"maxOf", func(a, b, c, d []float32) []float32 { return []float32{maxOf(a)} }},
	{"expSum", func(a, b, c, d []float32) []float32 { return []float32{float32(expSum(a, 1.5))} }},
	{"expTo", func(a, b, c, d []float32) []float32 { expTo(a, b, 0.5, 0.3); return a }},
	{"klSums", func(a, b, c, d []float32) []float32 {
		x, y, z := klSums(a, b, 1, 2)
		return []float32{float32(x), float32(y), float32(z)}
	}},
	{"klGrad", func(a, b, c, d []float32) []float32 { klGrad(a, b, c, 1, 2, 0.3); return a }},
	{"normApply", func(a, b, c, d []float32) []float32 { normApply(a, b, c, nil, 0.1, 0.9); return a }},
	{"normApply with bias", func(a, b, c, d []float32) []float32 { normApply(a, b, c, d, 0.1, 0.9); return a }},
	{"normGradSums", func(a, b, c, d []float32) []float32 {
		x, y := normGradSums(a, b, c, 0.1, 0.9)
		return []float32{x, y}
	}},
	{"normGradApply", func(a, b, c, d []float32) []float32 { normGradApply(a, b, c, d, 0.1, 0.9, 0.2, 0.3); return a }},
	{"normParam", func(a, b, c, d []float32) []float32 { normParam(a, b, c, []float32{0.1, 0.9, 0.3, 1.1}, 0); return a }},
	{"rotate", func(a, b, c, d []float32) []float32 { rotate(a, b, a, b, c, d); return append(a, b...) }},
	{"combine", func(a, b, c, d []float32) []float32 { combine(a, []float32{2, 0, 3}, 2, b, 0, 2, false); return a }},
	{"combine, adding", func(a, b, c, d []float32) []float32 { combine(a, []float32{2, 3}, 1, b, 0, 2, true); return a }},
	{"transpose", func(a, b, c, d []float32) []float32 {
		out := make([]float32, 11*len(a))
		for i := range a {
			a[i] = float32(i)
		}
		transpose(out, 11, append(append(append([]float32(nil), a...), b...), c...), len(a), 3, len(a))
		return out
	}},
	{"gatedSiLU", func(a, b, c, d []float32) []float32 { gatedSiLU(a, b, c); return a }},
	{"gatedSiLUGrad", func(a, b, c, d []float32) []float32 { gatedSiLUGrad(a, b, b, c, d); return append(a, b...) }},
	{"gelu_new", func(a, b, c, d []float32) []float32 { activate(GELUTanh, a, b); return a }},
	{"gelu", func(a, b, c, d []float32) []float32 { activate(GELU, a, b); return a }},
	{"silu", func(a, b, c, d []float32) []float32 { activate(SiLU, a, b); return a }},
	{"relu", func(a, b, c, d []float32) []float32 { activate(ReLU, a, b); return a }},
	{"tanh", func(a, b, c, d []float32) []float32 { activate(Tanh, a, b); return a }},
	{"gelu_new slope", func(a, b, c, d []float32) []float32 { activateGrad(GELUTanh, a, b, c); return a }},
	{"gelu slope", func(a, b, c, d []float32) []float32 { activateGrad(GELU, a, b, c); return a }},
	{"silu slope", func(a, b, c, d []float32) []float32 { activateGrad(SiLU, a, b, c); return a }},
	{"relu slope", func(a, b, c, d []float32) []float32 { activateGrad(ReLU, a, b, c); return a }},
	{"tanh slope", func(a, b, c, d []float32) []float32 { activateGrad(Tanh, a, b, c); return a }},
}

// TestPrimitivesAgreeAcrossLevels also checks that nothing is written past the
// end of a row, and that AVX2 and AVX-512 give the same bytes.
func TestPrimitivesAgreeAcrossLevels(t *testing.T) {
	lengths := []int{0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 80, 127, 128, 200}
	type key struct {
		name string
		n    int
	}
	plain, vector := map[key][]float32{}, map[key][]float32{}
	eachLevel(t, func(t *testing.T) {
		for _, p := range primitives {
			for _, n := range lengths {
				if p.name == "transpose" && n == 0 {
					continue
				}
				rng := rand.New(rand.NewPCG(25, uint64(n)))
				const guard = 16
				var rows [4][]float32
				var ends [4][]float32
				for i := range rows {
					whole := randomRow(rng, n+guard, 2)
					rows[i], ends[i] = whole[:n:n], whole[n:]
				}
				before := fmt.Sprint(ends)
				got := append([]float32(nil), p.run(rows[0], rows[1], rows[2], rows[3])...)
				if fmt.Sprint(ends) != before {
					t.Fatalf("%s writes past the end of %d elements", p.name, n)
				}
				k := key{p.name, n}
				if _, ok := plain[k]; !ok {
					plain[k] = got
					continue
				}
				closeTo(t, fmt.Sprintf("%s of %d", p.name, n), got, widened(plain[k]), 2e-6)
				if _, ok := vector[k]; !ok {
					vector[k] = got
				}
				sameBits(t, fmt.Sprintf("%s of %d", p.name, n), got, vector[k])
			}
		}
	})
	if len(plain) < len(primitives) {
		t.Fatalf("only %d cases ran", len(plain))
	}
}

func TestTransposeOfAllShapes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for rows := 0; rows < 20; rows++ {
			for cols := 1; cols < 20; cols++ {
				const xs, ys = 23, 21
				x := make([]float32, rows*xs)
				for i := range x {
					x[i] = float32(i)
				}
				y := make([]float32, cols*ys)
				transpose(y, ys, x, xs, rows, cols)
				for i, v := range y {
					r, c := i%ys, i/ys
					want := float32(0)
					if r < rows {
						want = float32(r*xs + c)
					}
					if v != want {
						t.Fatalf("%d by %d: row %d, column %d is %v, want %v", rows, cols, r, c, v, want)
					}
				}
			}
		}
	})
}

func TestExponentialIsWithin3e7(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		var x []float32
		for v := float32(-87.3); v < 88.7; v += 0.00071 {
			x = append(x, v)
		}
		y := make([]float32, len(x))
		expTo(y, x, 0, 1)
		worst, at := 0.0, float32(0)
		for i, v := range x {
			if e := math.Abs(float64(y[i])/math.Exp(float64(v)) - 1); e > worst {
				worst, at = e, v
			}
		}
		t.Logf("worst relative error %.2g at %v", worst, at)
		if worst > 3e-7 {
			t.Errorf("relative error %v at %v", worst, at)
		}
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		low := []float32{-inf, -1e30, -200, 0, nan}
		expTo(low, low, 0, 1)
		if low[0] != 0 || low[1] != 0 || low[2] != 0 || low[3] != 1 || low[4] == low[4] {
			t.Errorf("exp of -Inf, -1e30, -200, 0, NaN is %v", low)
		}
	})
}

func TestVectorReductions(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		for _, n := range []int{1, 16, 100, 3*sumBlock + 5} {
			x := randomRow(rand.New(rand.NewPCG(27, 28)), n, 1)
			want := 0.0
			for _, v := range x {
				want += float64(v) * float64(v)
			}
			if got := e.SumSquares(x); math.Abs(got/want-1) > 1e-12 {
				t.Errorf("sum of squares of %d is %v, want %v", n, got, want)
			}
			if !e.AllFinite(x) {
				t.Errorf("%d finite elements: not all finite", n)
			}
			for _, bad := range []float32{inf, -inf, nan} {
				kept := x[n-1]
				x[n-1] = bad
				if e.AllFinite(x) {
					t.Errorf("%v as the last of %d: all finite", bad, n)
				}
				x[n-1] = kept
			}
		}
		if !e.AllFinite(nil) {
			t.Error("nothing: not all finite")
		}
		negZero := float32(math.Copysign(0, -1))
		keep := make([]bool, 3)
		e.RowsNonZero(keep, []float32{0, 0, negZero, 0, 0, 1e-45, 0, nan, 0}, 3, 3)
		if keep[0] || !keep[1] || !keep[2] {
			t.Errorf("rows with something in them: %v", keep)
		}
		y := []float32{1, 2, 3}
		e.ColumnSums(y, []float32{1, 2, 3, 10, 20, 30}, 2, 3)
		sameBits(t, "column sums", y, []float32{12, 24, 36})
	})
}
