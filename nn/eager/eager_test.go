package eager_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

func newOps(t *testing.T) *eager.Ops {
	t.Helper()
	k, err := kernel.New(kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return eager.New(k)
}

func random(rng *rand.Rand, rows, cols int) kernel.Matrix {
	m := kernel.Mat(make([]float32, rows*cols), rows, cols)
	for i := range m.Data {
		m.Data[i] = float32(rng.NormFloat64())
	}
	return m
}

func param(name string, m kernel.Matrix) *nn.Param { return nn.NewParam(name, m.Rows, m.Cols, m.Data) }

func at(m kernel.Matrix, i, j int) float64 { return float64(m.Data[i*m.Stride+j]) }

// same fails where y is not what want says, to within the rounding of sums of
// a few dozen products of numbers around 1.
func same(t *testing.T, name string, y kernel.Matrix, want func(i, j int) float64) {
	t.Helper()
	for i := range y.Rows {
		for j := range y.Cols {
			if got, w := at(y, i, j), want(i, j); !(math.Abs(got-w) <= 2e-5*max(1, math.Abs(w))) {
				t.Fatalf("%s: element (%d, %d) is %v, want %v", name, i, j, got, w)
			}
		}
	}
}

// bytesOf is the matrix's content, to be kept and compared to the bit.
func bytesOf(m kernel.Matrix) []uint32 {
	var out []uint32
	for i := range m.Rows {
		for _, v := range m.Data[i*m.Stride : i*m.Stride+m.Cols] {
			out = append(out, math.Float32bits(v))
		}
	}
	return out
}

func wantError(t *testing.T, o *eager.Ops, parts ...string) {
	t.Helper()
	err := o.Err()
	if err == nil {
		t.Fatalf("no error; want one that says %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q does not say %q", err, p)
		}
	}
	o.Reset()
	if o.Err() != nil {
		t.Errorf("after Reset: %v", o.Err())
	}
}

// TestDeltasEqualTheSummedWeight: rows of a task see W + Scale·Dᵀ·U, all other
// rows W, in both orientations.
func TestDeltasEqualTheSummedWeight(t *testing.T) {
	const in, out, rank = 12, 7, 3
	for _, inOut := range []bool{false, true} {
		t.Run(fmt.Sprintf("inOut=%v", inOut), func(t *testing.T) {
			o := newOps(t)
			rng := rand.New(rand.NewPCG(1, 2))
			l := &nn.Linear{W: param("w", random(rng, out, in)), B: param("b", random(rng, 1, out)), In: in, Out: out, InOut: inOut}
			if inOut {
				l.W = param("w", random(rng, in, out))
			}
			weight, err := l.W.Values()
			if err != nil {
				t.Fatal(err)
			}
			bias, err := l.B.Values()
			if err != nil {
				t.Fatal(err)
			}
			x := random(rng, 9, in)
			deltas := []nn.Delta{
				{U: random(rng, rank, in), D: random(rng, rank, out), Scale: -0.5},
				{}, // a task without an edit
				{U: random(rng, 1, in), D: random(rng, 1, out), Scale: 2},
			}
			tasks := []nn.Range{{Lo: 1, Hi: 3}, {Lo: 3, Hi: 5}, {Lo: 5, Hi: 8}}
			o.Deltas = map[string][]nn.Delta{"w": deltas}
			o.SetTasks(tasks)
			y := o.Linear(l, x)
			if o.Err() != nil {
				t.Fatal(o.Err())
			}
			summed := func(i, from, to int) float64 {
				index := to*in + from
				if inOut {
					index = from*out + to
				}
				w := float64(weight[index])
				for task, r := range tasks {
					if i < r.Lo || i >= r.Hi {
						continue
					}
					d := deltas[task]
					for k := range d.U.Rows {
						w += float64(d.Scale) * at(d.D, k, to) * at(d.U, k, from)
					}
				}
				return w
			}
			same(t, "linear", y, func(i, j int) float64 {
				sum := float64(bias[j])
				for k := range in {
					sum += at(x, i, k) * summed(i, k, j)
				}
				return sum
			})
		})
	}
}

// TestRowsCarryTheirTasks: behind Rows the tasks are those of the picked rows.
func TestRowsCarryTheirTasks(t *testing.T) {
	o := newOps(t)
	rng := rand.New(rand.NewPCG(3, 4))
	l := &nn.Linear{W: param("w", random(rng, 4, 5)), In: 5, Out: 4}
	x := random(rng, 6, 5)
	o.SetTasks([]nn.Range{{Lo: 0, Hi: 3}, {Lo: 3, Hi: 6}})
	plain := slices.Clone(o.Linear(l, x).Data)
	d := nn.Delta{U: random(rng, 2, 5), D: random(rng, 2, 4), Scale: 1}
	o.Deltas = map[string][]nn.Delta{"w": {{}, d}}
	y := o.Linear(l, o.Rows(x, &nn.RowSet{V: []int32{1, 5}, Tasks: []nn.Range{{Lo: 0, Hi: 1}, {Lo: 1, Hi: 2}}}))
	if o.Err() != nil {
		t.Fatal(o.Err())
	}
	same(t, "picked rows", y, func(i, j int) float64 {
		if i == 0 {
			return float64(plain[1*4+j])
		}
		sum := float64(plain[5*4+j])
		for k := range 2 {
			for c := range 5 {
				sum += at(d.D, k, j) * at(d.U, k, c) * at(x, 5, c)
			}
		}
		return sum
	})
}

// TestHooksChangeValues: OnTap and OnLinear may write into what they are
// shown, and what follows computes with it. OnLinear comes after the deltas.
func TestHooksChangeValues(t *testing.T) {
	o := newOps(t)
	rng := rand.New(rand.NewPCG(5, 6))
	x := random(rng, 3, 4)
	place := nn.Place{Layer: 2, At: nn.MLPOut}
	var seen []nn.Place
	o.OnTap = func(p nn.Place, x kernel.Matrix) {
		seen = append(seen, p)
		if p == place {
			copy(x.Data[x.Stride:x.Stride+x.Cols], []float32{1, 2, 3, 4})
		}
	}
	before := slices.Clone(x.Data)
	y := o.Add(o.Tap(nn.Place{Layer: 2, At: nn.MLPIn}, x), o.Tap(place, o.Mul(x, x)))
	same(t, "tapped", y, func(i, j int) float64 {
		v := float64(before[i*4+j])
		if i == 1 {
			return v + float64(j+1)
		}
		return v + v*v
	})
	if !slices.Equal(seen, []nn.Place{{Layer: 2, At: nn.MLPIn}, place}) {
		t.Errorf("taps %v", seen)
	}
	if !slices.Equal(x.Data, before) {
		t.Error("a tap that only looks changed its value")
	}

	l := &nn.Linear{W: param("w", kernel.Mat(make([]float32, 8), 2, 4)), In: 4, Out: 2} // W = 0: y is the delta's share alone
	o.SetTasks([]nn.Range{{Lo: 0, Hi: 3}})
	o.Deltas = map[string][]nn.Delta{"w": {{U: kernel.Mat([]float32{1, 0, 0, 0}, 1, 4), D: kernel.Mat([]float32{1, 1}, 1, 2), Scale: 1}}}
	o.OnLinear = func(at *nn.Linear, in, out kernel.Matrix) {
		if at != l || in.Rows != 3 || in.Cols != 4 || out.Cols != 2 {
			t.Errorf("OnLinear saw %s with [%d, %d] and [%d, %d]", at.W.Name, in.Rows, in.Cols, out.Rows, out.Cols)
		}
		if out.Data[0] != in.Data[0] {
			t.Errorf("OnLinear came before the deltas: %v, want %v", out.Data[0], in.Data[0])
		}
		out.Data[1] = 7
	}
	if got := o.Linear(l, x).Data[1]; got != 7 {
		t.Errorf("OnLinear's 7 became %v", got)
	}
}

// TestReferences compares the other operations with the formulas in float64.
func TestReferences(t *testing.T) {
	o := newOps(t)
	rng := rand.New(rand.NewPCG(7, 8))
	const rows, width, eps = 5, 8, 1e-5
	x, z := random(rng, rows, width), random(rng, rows, width)
	gain, bias := random(rng, 1, width), random(rng, 1, width)

	mean := func(f func(j int) float64) float64 {
		sum := 0.0
		for j := range width {
			sum += f(j) / width
		}
		return sum
	}
	norm := &nn.Norm{Gain: param("gain", gain), Bias: param("bias", bias), Eps: eps}
	same(t, "layer norm", o.LayerNorm(norm, x), func(i, j int) float64 {
		mu := mean(func(j int) float64 { return at(x, i, j) })
		variance := mean(func(j int) float64 { return (at(x, i, j) - mu) * (at(x, i, j) - mu) })
		return (at(x, i, j)-mu)/math.Sqrt(variance+eps)*at(gain, 0, j) + at(bias, 0, j)
	})
	same(t, "RMS norm", o.RMSNorm(&nn.Norm{Gain: norm.Gain, Eps: eps}, x), func(i, j int) float64 {
		square := mean(func(j int) float64 { return at(x, i, j) * at(x, i, j) })
		return at(x, i, j) / math.Sqrt(square+eps) * at(gain, 0, j)
	})
	same(t, "SiLU", o.Activate(kernel.SiLU, x), func(i, j int) float64 { return at(x, i, j) / (1 + math.Exp(-at(x, i, j))) })
	same(t, "sum", o.Add(x, z), func(i, j int) float64 { return at(x, i, j) + at(z, i, j) })
	same(t, "product", o.Mul(x, z), func(i, j int) float64 { return at(x, i, j) * at(z, i, j) })
	for _, idx := range [][]int32{{2, 3, 4}, {6, 0, 0, 1}, {1, 3}} {
		same(t, "columns", o.Columns(x, idx), func(i, j int) float64 { return at(x, i, int(idx[j])) })
	}
	ids := []int32{4, 0, 4}
	same(t, "embedding", o.Embed(param("table", x), &nn.IDs{V: ids}), func(i, j int) float64 { return at(x, int(ids[i]), j) })
	if o.Err() != nil {
		t.Fatal(o.Err())
	}
}

// TestScopeKeepsItsResult: what a scope returns survives the reuse of what was
// computed inside, in the same chunk of memory and across chunks.
func TestScopeKeepsItsResult(t *testing.T) {
	o := newOps(t)
	for _, rows := range []int{3, 1 << 14} {
		x := random(rand.New(rand.NewPCG(9, uint64(rows))), rows, 64)
		want := bytesOf(o.Add(o.Add(x, x), x))
		o.Reset()
		y := o.Scope(func() kernel.Matrix { return o.Add(o.Scope(func() kernel.Matrix { return o.Add(x, x) }), x) })
		for range 3 {
			clear(o.Alloc(rows, 64).Data)
		}
		if !slices.Equal(bytesOf(y), want) {
			t.Errorf("%d rows: the result changed", rows)
		}
		o.Reset()
	}
}

func TestErrors(t *testing.T) {
	o := newOps(t)
	rng := rand.New(rand.NewPCG(10, 11))
	x := random(rng, 2, 4)
	l := &nn.Linear{W: param("some.weight", random(rng, 3, 4)), In: 4, Out: 3}

	o.Embed(param("table", x), &nn.IDs{V: []int32{0, 2}})
	wantError(t, o, "table", "row 2", "2 rows")
	o.Linear(l, random(rng, 2, 5))
	wantError(t, o, "some.weight", "width 5", "width 4")
	o.Deltas = map[string][]nn.Delta{"some.weight": {{U: random(rng, 1, 4), D: random(rng, 1, 3), Scale: 1}}}
	o.Linear(l, x)
	wantError(t, o, "some.weight", "1 tasks are edited", "name 0")
	o.Deltas = nil

	// the first error stays
	o.Linear(l, random(rng, 2, 5))
	o.Embed(param("table", x), &nn.IDs{V: []int32{9}})
	wantError(t, o, "some.weight")
}

func TestPositionsBeyondTheLimit(t *testing.T) {
	o := newOps(t)
	rot := rotation(4, 6)
	x := random(rand.New(rand.NewPCG(12, 13)), 2, 8)
	for _, pos := range [][]int32{{0, 5}, {5, 5}} {
		o.Rotate(x, 2, rot, &nn.Sequences{Pos: pos})
		if o.Err() != nil {
			t.Errorf("positions %v: %v", pos, o.Err())
		}
	}
	for _, pos := range [][]int32{{0, 6}, {1000, 0}, {0, -1}} {
		y := o.Rotate(x, 2, rot, &nn.Sequences{Pos: pos})
		if y.Rows != 2 || y.Cols != 8 {
			t.Errorf("positions %v: shape [%d, %d]", pos, y.Rows, y.Cols)
		}
		wantError(t, o, "position", "the model's 6")
	}
	same(t, "no rotary dimensions", o.Rotate(x, 2, &kernel.Rotation{HeadDim: 4}, &nn.Sequences{Pos: []int32{0, 99}}),
		func(i, j int) float64 { return at(x, i, j) })
}
