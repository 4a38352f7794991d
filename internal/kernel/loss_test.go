package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func refLogSoftmax(x []float64) (logp []float64, lse float64) {
	m := math.Inf(-1)
	for _, v := range x {
		m = math.Max(m, v)
	}
	s := 0.0
	for _, v := range x {
		s += math.Exp(v - m)
	}
	lse = m + math.Log(s)
	logp = make([]float64, len(x))
	for i, v := range x {
		logp[i] = v - lse
	}
	return logp, lse
}

// refKL is the sum over rows of scale·KL(P||Q).
func refKL(p, q []float64, scale []float32, rows, cols int) (kl []float64, total float64) {
	for r := range rows {
		lp, _ := refLogSoftmax(p[r*cols : (r+1)*cols])
		lq, _ := refLogSoftmax(q[r*cols : (r+1)*cols])
		s := 0.0
		for i := range lp {
			s += math.Exp(lp[i]) * (lp[i] - lq[i])
		}
		kl = append(kl, s)
		total += s * float64(scale[r])
	}
	return kl, total
}

func TestSoftmaxFamilyAgreesWithReference(t *testing.T) {
	const rows = 3
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		for _, cols := range append([]int{5000}, rowLengths...) {
			rng := rand.New(rand.NewPCG(15, uint64(cols)))
			x := randomRow(rng, rows*cols, 5)
			var want, lses []float64
			for r := range rows {
				logp, lse := refLogSoftmax(widened(x[r*cols : (r+1)*cols]))
				for _, l := range logp {
					want = append(want, math.Exp(l))
				}
				lses = append(lses, lse)
			}
			y, lse, arg := make([]float32, len(x)), make([]float32, rows), make([]int32, rows)
			e.Softmax(y, x, rows, cols)
			e.LogSumExp(lse, x, rows, cols)
			closeTo(t, "softmax", y, want, 5e-7)
			closeTo(t, "log sum exp", lse, lses, 3e-7)
			e.Softmax(x, x, rows, cols)
			sameBits(t, "softmax in place", x, y)
			for r := range rows { // two equal maxima: the first counts
				row := x[r*cols : (r+1)*cols]
				row[cols-1], row[cols/2] = 7, 7
			}
			e.ArgMax(arg, x, rows, cols)
			for r, got := range arg {
				if int(got) != cols/2 {
					t.Errorf("%d columns: argmax of row %d is %d, want %d", cols, r, got, cols/2)
				}
			}
		}
	})
}

func TestLogSumExpOfExtremeRows(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 1)
		out := make([]float32, 1)
		for _, c := range []struct {
			name string
			x    []float32
			want float64
		}{
			{"all minus infinity", []float32{-inf, -inf, -inf}, math.Inf(-1)},
			{"one finite", []float32{-inf, 3, -inf}, 3},
			{"far apart", []float32{-3e38, 3e38}, 3e38},
			{"large and equal", []float32{1e4, 1e4}, 1e4 + math.Ln2},
			{"NaN", []float32{0, nan, 1}, math.NaN()},
			{"NaN and minus infinity", []float32{-inf, nan}, math.NaN()},
		} {
			e.LogSumExp(out, c.x, 1, len(c.x))
			got := float64(out[0])
			if math.IsNaN(c.want) != math.IsNaN(got) || math.IsInf(c.want, -1) != math.IsInf(got, -1) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			} else if d := math.Abs(got - c.want); d > 1e-6*math.Abs(c.want) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
	})
}

func TestCrossEntropyAgreesWithReferenceAndDifferences(t *testing.T) {
	const rows = 4
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		for _, cols := range rowLengths {
			rng := rand.New(rand.NewPCG(17, uint64(cols)))
			x := randomRow(rng, rows*cols, 4)
			labels := []int32{0, -1, int32(cols - 1), int32(cols / 2)}
			weight := randomRow(rng, rows, 1)
			loss := func(x []float64) (nll, lses []float64, total float64) {
				for r, label := range labels {
					logp, lse := refLogSoftmax(x[r*cols : (r+1)*cols])
					n := 0.0
					if label >= 0 {
						n = -logp[label]
					}
					nll, lses, total = append(nll, n), append(lses, lse), total+n*float64(weight[r])
				}
				return nll, lses, total
			}
			nll, lse, dx := make([]float32, rows), make([]float32, rows), make([]float32, len(x))
			e.CrossEntropy(nll, lse, x, labels, rows, cols)
			wantNLL, wantLSE, _ := loss(widened(x))
			closeTo(t, "nll", nll, wantNLL, 1e-6)
			closeTo(t, "lse", lse, wantLSE, 3e-7)
			want := slope(func(x []float64) float64 { _, _, l := loss(x); return l }, x)
			e.CrossEntropyGrad(dx, x, lse, labels, weight, rows, cols)
			closeTo(t, "dlogits", dx, want, 2e-6)
			e.CrossEntropyGrad(x, x, lse, labels, weight, rows, cols)
			sameBits(t, "dlogits in place", x, dx)
		}
	})
}

func TestKLAgreesWithReferenceAndDifferences(t *testing.T) {
	const rows = 3
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		for _, cols := range rowLengths {
			rng := rand.New(rand.NewPCG(19, uint64(cols)))
			p, q, weight := randomRow(rng, rows*cols, 3), randomRow(rng, rows*cols, 3), randomRow(rng, rows, 1)
			kl, lp, lq, dq := make([]float32, rows), make([]float32, rows), make([]float32, rows), make([]float32, len(q))
			e.KL(kl, lp, lq, p, q, rows, cols)
			pw := widened(p)
			want, _ := refKL(pw, widened(q), weight, rows, cols)
			closeTo(t, "kl", kl, want, 1e-6)
			single := make([]float32, rows)
			e.LogSumExp(single, p, rows, cols)
			closeTo(t, "lse of p", lp, widened(single), 2e-7)
			e.LogSumExp(single, q, rows, cols)
			closeTo(t, "lse of q", lq, widened(single), 2e-7)
			slopes := slope(func(q []float64) float64 { _, l := refKL(pw, q, weight, rows, cols); return l }, q)
			e.KLGrad(dq, p, q, lp, lq, weight, rows, cols)
			closeTo(t, "dq", dq, slopes, 2e-6)
			e.KLGrad(q, p, q, lp, lq, weight, rows, cols)
			sameBits(t, "dq in place", q, dq)
		}
	})
}

func TestKLOfEqualAndNearlyEqualRows(t *testing.T) {
	const cols = 49152
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 1)
		rng := rand.New(rand.NewPCG(21, 22))
		p := randomRow(rng, cols, 3)
		q := append([]float32(nil), p...)
		kl, lp, lq := make([]float32, 1), make([]float32, 1), make([]float32, 1)
		e.KL(kl, lp, lq, p, q, 1, cols)
		if kl[0] != 0 || lp[0] != lq[0] {
			t.Errorf("equal rows: kl %v, lse %v and %v", kl[0], lp[0], lq[0])
		}
		for _, shift := range []float64{1e-3, 0.03, 1} {
			for i, v := range p {
				q[i] = v + float32(shift*rng.NormFloat64())
			}
			e.KL(kl, lp, lq, p, q, 1, cols)
			want, _ := refKL(widened(p), widened(q), []float32{1}, 1, cols)
			closeTo(t, fmt.Sprintf("rows apart by %v", shift), kl, want, 1e-6)
		}
	})
}

func TestArgMaxOfExtremeRows(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		for _, n := range []int{3, 3 * expBlock} {
			filled := func(v float32, at int, w float32) []float32 {
				x := make([]float32, n)
				for i := range x {
					x[i] = v
				}
				x[at] = w
				return x
			}
			for _, c := range []struct {
				row  []float32
				want int32
			}{
				{filled(nan, n-1, nan), 0},
				{filled(-inf, n-1, -inf), 0},
				{filled(nan, n-1, -inf), int32(n - 1)},
				{filled(nan, n-2, 3), int32(n - 2)},
				{filled(-inf, n-1, -1), int32(n - 1)},
				{filled(2, n-1, nan), 0},
				{filled(2, n-1, inf), int32(n - 1)},
			} {
				got := make([]int32, 1)
				if e.ArgMax(got, c.row, 1, n); got[0] != c.want {
					t.Errorf("%d elements of %v, %v, %v: %d, want %d", n, c.row[0], c.row[n-2], c.row[n-1], got[0], c.want)
				}
			}
		}
	})
}
