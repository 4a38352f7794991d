package hypernet

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// solved runs the update of one site on raw rows [u, δ] in tasks, with δ̃ = δ.
func solved(t *testing.T, u Update, prior *Prior, in, out int, z []float32, tasks []nn.Range) kernel.Matrix {
	t.Helper()
	k, err := solveRows(t, u, prior, in, out, z, tasks)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func solveRows(t *testing.T, u Update, prior *Prior, in, out int, z []float32, tasks []nn.Range) (kernel.Matrix, error) {
	t.Helper()
	return solveBeside(t, u, prior, in, out, z, tasks, nil)
}

func solveBeside(t *testing.T, u Update, prior *Prior, in, out int, z []float32, tasks []nn.Range, stay []Stay) (kernel.Matrix, error) {
	t.Helper()
	cfg := Default()
	cfg.Kind, cfg.Update = "rates", u
	net, err := New(cfg, []lm.Site{shaped("a", in, out)}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	if prior != nil {
		net.Priors[0] = prior
	}
	wide := in + out
	rows := len(z) / wide
	b := graph.New(testEngine(t))
	x := b.Input("z", rows, wide)
	layout := &Layout{Blocks: []nn.Range{{Hi: rows}}, Tasks: [][]nn.Range{tasks}, Modes: make([]int32, rows), Stay: stay}
	g, raw := net.Groups[0], b.Detach(x)
	y := net.Update(b, g, net.Keys(b, g, raw, layout), raw, x)
	m, err := b.Compile(y)
	if err != nil {
		t.Fatal(err)
	}
	m.Set(x, kernel.Mat(z, rows, wide))
	err = m.Run(false)
	return m.Value(y), err
}

// keys are n random rows of in inputs and out gradients.
func keys(rng *rand.Rand, n, in, out int) []float32 {
	z := make([]float32, n*(in+out))
	for i := range z {
		z[i] = float32(rng.NormFloat64())
	}
	return z
}

// momentOf is a prior of 4·in random inputs that are far from white.
func momentOf(rng *rand.Rand, in int) *Prior {
	x := mat.NewDense(4*in, in, nil)
	for i := range 4 * in {
		common := rng.NormFloat64()
		for j := range in {
			x.Set(i, j, 3*common+rng.NormFloat64()*float64(j+1)/float64(in))
		}
	}
	var sum mat.Dense
	sum.Mul(x.T(), x)
	p := NewPrior(in)
	p.Set(sum.RawMatrix().Data, int64(4*in))
	return p
}

func moment() Update {
	u := DefaultUpdate()
	u.Rule, u.Prior, u.Ridge, u.Shrink = Solve, Moment, 0.02, 0.05
	return u
}

// TestTheSolveIsTheMinimiser checks the normal equations of
// ‖U·X − D‖² + λ·m·tr(Xᵀ·A·X) at X = K'ᵀ·D, for fewer and for more rows than
// inputs.
func TestTheSolveIsTheMinimiser(t *testing.T) {
	const in, out = 12, 5
	for _, rows := range []int{1, 4, 30} {
		rng := rand.New(rand.NewPCG(3, uint64(rows)))
		u, p := moment(), momentOf(rng, in)
		z := keys(rng, rows, in, out)
		k := solved(t, u, p, in, out, z, []nn.Range{{Hi: rows}})
		inputs, grads, solvers := mat.NewDense(rows, in, nil), mat.NewDense(rows, out, nil), mat.NewDense(rows, in, nil)
		for i := range rows {
			for j := range in {
				inputs.Set(i, j, float64(z[i*(in+out)+j]))
				solvers.Set(i, j, float64(k.Data[i*(in+out)+j]))
			}
			for j := range out {
				grads.Set(i, j, float64(z[i*(in+out)+in+j]))
				if got := k.Data[i*(in+out)+in+j]; got != z[i*(in+out)+in+j] {
					t.Fatalf("δ̃ of row %d changed", i)
				}
			}
		}
		a := mat.NewDense(in, in, nil)
		at, trace := 0, 0.0
		for i := range in {
			for j := range i + 1 {
				a.Set(i, j, float64(p.C[at]))
				a.Set(j, i, float64(p.C[at]))
				at++
			}
			trace += a.At(i, i)
		}
		for i := range in {
			a.Set(i, i, a.At(i, i)+u.Shrink*trace/in)
		}
		var x, left, right mat.Dense
		x.Mul(solvers.T(), grads)
		a.Scale(u.Ridge*in, a)
		var gram mat.Dense
		gram.Mul(inputs.T(), inputs)
		a.Add(a, &gram)
		left.Mul(a, &x)
		right.Mul(inputs.T(), grads)
		left.Sub(&left, &right)
		if gap := mat.Norm(&left, 2) / mat.Norm(&right, 2); gap > 1e-4 {
			t.Errorf("%d rows: the normal equations are missed by %.2e", rows, gap)
		}
	}
}

// TestTheSumIsTheLimit: under a large ridge the rows no longer see one another,
// and what is left is the sum of their outer products.
func TestTheSumIsTheLimit(t *testing.T) {
	const in, out, rows, ridge = 6, 3, 4, 1e6
	u := DefaultUpdate()
	u.Rule, u.Ridge = Solve, ridge
	z := keys(rand.New(rand.NewPCG(5, 6)), rows, in, out)
	k := solved(t, u, nil, in, out, z, []nn.Range{{Hi: rows}})
	for i, v := range k.Data[:rows*(in+out)] {
		if i%(in+out) < in {
			v *= ridge
		}
		if d := math.Abs(float64(v - z[i])); d > 1e-4 {
			t.Fatalf("element %d is %v, want %v", i, v, z[i])
		}
	}
}

// TestRowsOfTheSolve: their order does not matter, tasks do not see one another,
// and a row without input changes nothing.
func TestRowsOfTheSolve(t *testing.T) {
	const in, out, rows = 8, 3, 6
	rng := rand.New(rand.NewPCG(7, 8))
	p, wide := momentOf(rng, in), in+out
	z := keys(rng, rows, in, out)
	whole := solved(t, moment(), p, in, out, z, []nn.Range{{Hi: rows}})
	same := func(what string, k kernel.Matrix, row, want int, bound float64) {
		t.Helper()
		for j := range in {
			a, b := float64(k.Data[row*wide+j]), float64(whole.Data[want*wide+j])
			if math.Abs(a-b) > bound*(1+math.Abs(b)) {
				t.Fatalf("%s: row %d is %v at %d, want %v", what, row, a, j, b)
			}
		}
	}
	backwards := make([]float32, len(z))
	for i := range rows {
		copy(backwards[i*wide:], z[(rows-1-i)*wide:(rows-i)*wide])
	}
	k := solved(t, moment(), p, in, out, backwards, []nn.Range{{Hi: rows}})
	for i := range rows {
		same("backwards", k, i, rows-1-i, 1e-5)
	}
	k = solved(t, moment(), p, in, out, append(append([]float32(nil), z...), z...), []nn.Range{{Hi: rows}, {Lo: rows, Hi: 2 * rows}})
	for i := range 2 * rows {
		same("two tasks", k, i, i%rows, 0)
	}
	k = solved(t, moment(), p, in, out, append(append([]float32(nil), z...), make([]float32, wide)...), []nn.Range{{Hi: rows + 1}})
	for i := range rows {
		same("a row of zeros", k, i, i, 0)
	}
}

// TestWhatStaysIsRowsWithoutValue: the rows of a task beside inputs that have to
// stay are those of one solve of all of them, and no other task's concern.
func TestWhatStaysIsRowsWithoutValue(t *testing.T) {
	const in, out, rows, more = 8, 3, 4, 5
	rng := rand.New(rand.NewPCG(17, 18))
	p, wide := momentOf(rng, in), in+out
	z := keys(rng, rows, in, out)
	stay := Stay{U: kernel.Mat(nil, more, in), Tasks: []nn.Range{{Hi: 3}, {Lo: 3, Hi: more}}}
	for range more * in {
		stay.U.Data = append(stay.U.Data, float32(rng.NormFloat64()))
	}
	tasks := []nn.Range{{Hi: 1}, {Lo: 1, Hi: rows}}
	got, err := solveBeside(t, moment(), p, in, out, z, tasks, []Stay{stay})
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range tasks {
		all := slices.Clone(z[q.Lo*wide : q.Hi*wide])
		s := stay.Tasks[i]
		for r := s.Lo; r < s.Hi; r++ {
			all = append(append(all, stay.U.Data[r*in:(r+1)*in]...), 1, 1, 1)
		}
		n := q.Hi - q.Lo
		want := solved(t, moment(), p, in, out, all, []nn.Range{{Hi: n + s.Hi - s.Lo}})
		if !slices.Equal(got.Data[q.Lo*wide:q.Hi*wide], want.Data[:n*wide]) {
			t.Errorf("task %d differs from a solve of all rows", i)
		}
	}
}

func TestWhatCannotBeSolvedIsNamed(t *testing.T) {
	z := keys(rand.New(rand.NewPCG(9, 9)), 2, 4, 2)
	if _, err := solveRows(t, moment(), nil, 4, 2, z, []nn.Range{{Hi: 2}}); err == nil {
		t.Error("no error for a moment of nothing")
	}
	z[0] = float32(math.NaN())
	if _, err := solveRows(t, moment(), momentOf(rand.New(rand.NewPCG(1, 1)), 4), 4, 2, z, []nn.Range{{Hi: 2}}); err == nil {
		t.Error("no error for inputs that are not finite")
	}
}
