package hypernet

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// TestChunksGiveTheTwoPassValues merges rows in chunks of several sizes.
func TestChunksGiveTheTwoPassValues(t *testing.T) {
	const d, n = 7, 60
	x := someRows(rand.New(rand.NewPCG(1, 2)), []lm.Site{shaped("w", d, 1)}, n)[0].u.Data
	mean, s := make([]float64, d), make([]float64, d)
	for i, v := range x {
		mean[i%d] += float64(v) / n
	}
	for i, v := range x {
		s[i%d] += (float64(v) - mean[i%d]) * (float64(v) - mean[i%d])
	}
	for _, exact := range []bool{false, true} {
		bound := map[bool]float64{false: 1e-12, true: 1e-4}[exact] // the reference's form is in float32
		for _, chunk := range []int{1, 2, 7, 59, 60} {
			norm := NewNormaliser(d, 3)
			norm.Exact = exact
			for at := 0; at < n; at += chunk {
				norm.Update(x[at*d : min(at+chunk, n)*d])
			}
			norm.Update(nil)
			if norm.K != n {
				t.Fatalf("%d rows counted, want %d", norm.K, n)
			}
			for j := range d {
				if math.Abs(norm.Mean[j]-mean[j]) > bound*(1+math.Abs(mean[j])) || math.Abs(norm.S[j]-s[j]) > bound*(1+s[j]) {
					t.Errorf("exact %t, chunks of %d, column %d: mean %v and s %v, want %v and %v", exact, chunk, j, norm.Mean[j], norm.S[j], mean[j], s[j])
				}
			}
		}
	}
}

func TestTheOrderOfRowsDoesNotMatterThatOfModesDoes(t *testing.T) {
	sites := twoShapes()[:2]
	in := someRows(rand.New(rand.NewPCG(3, 4)), sites, 5)
	run := func(in []rows) (*Net, []float32) {
		net := made(t, small(nil), sites, false)
		r := newRig(t, net, 5)
		if err := r.run(in); err != nil {
			t.Fatal(err)
		}
		return net, r.out(0)
	}
	turned := make([]rows, len(in))
	for i, x := range in {
		turned[i] = rows{reversed(x.u), reversed(x.delta)}
	}
	net, z := run(in)
	other, back := run(turned)
	const wide = 8
	for i := range z {
		block, row, col := i/(5*wide), i/wide%5, i%wide
		if got := back[(block*5+4-row)*wide+col]; math.Abs(float64(got-z[i])) > 1e-5 {
			t.Fatalf("row %d of mode %d is %v in reversed order, %v else", row, block, got, z[i])
		}
	}
	for j := range net.Groups[0].Norm.Mean {
		if math.Abs(net.Groups[0].Norm.S[j]-other.Groups[0].Norm.S[j]) > 1e-9 {
			t.Error("statistics depend on the order of rows")
		}
	}
	_, swapped := run([]rows{in[1], in[0]})
	same := true
	for i, x := range z[:5*wide] {
		same = same && math.Abs(float64(x-swapped[5*wide+i])) < 1e-5
	}
	if same {
		t.Error("a weight's rows are normalised alike before and after the other's")
	}
}

func reversed(m kernel.Matrix) kernel.Matrix {
	out := kernel.Mat(make([]float32, len(m.Data)), m.Rows, m.Cols)
	for i := range m.Rows {
		copy(out.Data[i*m.Cols:(i+1)*m.Cols], m.Data[(m.Rows-1-i)*m.Cols:])
	}
	return out
}

// TestTheStatisticsSeeTaskByTaskAndModeByMode: one run of two tasks leaves what
// two runs of one task leave.
func TestTheStatisticsSeeTaskByTaskAndModeByMode(t *testing.T) {
	sites := twoShapes()
	in := someRows(rand.New(rand.NewPCG(5, 5)), sites, 6)
	together, apart := made(t, small(nil), sites, true), made(t, small(nil), sites, true)
	r := newRig(t, together, 6)
	for i := range sites {
		r.tasks[i] = []nn.Range{{Hi: 2}, {Lo: 2, Hi: 6}}
	}
	if err := r.runTasks(in); err != nil {
		t.Fatal(err)
	}
	s := newRig(t, apart, 6)
	var out [2][]float32
	for k, q := range []nn.Range{{Hi: 2}, {Lo: 2, Hi: 6}} {
		var part []rows
		for _, x := range in {
			part = append(part, rows{cut(x.u, q), cut(x.delta, q)})
		}
		if err := s.run(part); err != nil {
			t.Fatal(err)
		}
		out[k] = s.out(0)
	}
	for i, g := range together.Groups {
		h := apart.Groups[i]
		if g.Norm.K != h.Norm.K || !slices.Equal(g.Norm.Mean, h.Norm.Mean) || !slices.Equal(g.Norm.S, h.Norm.S) {
			t.Errorf("%s: statistics differ", g.Name)
		}
	}
	z, wide := r.out(0), 8
	for mode, tasks := range r.layouts[0].Tasks {
		for k, q := range tasks {
			n := q.Hi - q.Lo
			if !slices.Equal(z[q.Lo*wide:q.Hi*wide], out[k][mode*n*wide:(mode+1)*n*wide]) {
				t.Errorf("mode %d, task %d: factors differ from those of the task alone", mode, k)
			}
		}
	}
}

func cut(m kernel.Matrix, q nn.Range) kernel.Matrix {
	return kernel.Mat(m.Data[q.Lo*m.Cols:q.Hi*m.Cols], q.Hi-q.Lo, m.Cols)
}

func TestAFrozenNormaliserRepeatsItself(t *testing.T) {
	net := made(t, small(nil), twoShapes(), true)
	r := newRig(t, net, 5)
	rng := rand.New(rand.NewPCG(6, 6))
	if err := r.run(someRows(rng, net.Sites, 5)); err != nil {
		t.Fatal(err)
	}
	before := stateOf(net)
	r.mode.Training = false
	in := someRows(rng, net.Sites, 3)
	var first []float32
	for range 2 {
		if err := r.run(in); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = r.out(0)
		}
		if !slices.Equal(first, r.out(0)) {
			t.Error("two equal edits get different updates")
		}
	}
	if !sameState(before, stateOf(net)) {
		t.Error("the statistics moved")
	}
}

// stateOf is a deep copy of what the normalisers remember.
func stateOf(n *Net) []State {
	var out []State
	for _, g := range n.Groups {
		out = append(out, State{g.Norm.K, slices.Clone(g.Norm.Mean), slices.Clone(g.Norm.S)})
	}
	return out
}

func sameState(a, b []State) bool {
	return slices.EqualFunc(a, b, func(x, y State) bool {
		return x.K == y.K && slices.Equal(x.Mean, y.Mean) && slices.Equal(x.S, y.S)
	})
}

// TestStateAndFlatAreAllThereIs: a network that gets another's parameters and
// statistics goes on as that one does, to the bit.
func TestStateAndFlatAreAllThereIs(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	old := made(t, small(nil), twoShapes(), true)
	a := newRig(t, old, 5)
	if err := a.run(someRows(rng, old.Sites, 5)); err != nil {
		t.Fatal(err)
	}
	fresh, err := New(old.Config, old.Sites, rand.New(rand.NewPCG(99, 99)))
	if err != nil {
		t.Fatal(err)
	}
	copy(fresh.Flat, old.Flat)
	for i, s := range stateOf(old) {
		fresh.Groups[i].Norm.State = s
	}
	b := newRig(t, fresh, 5)
	in := someRows(rng, old.Sites, 4)
	for _, r := range []*rig{a, b} {
		if err := r.run(in); err != nil {
			t.Fatal(err)
		}
	}
	for g := range old.Groups {
		if !slices.Equal(a.out(g), b.out(g)) {
			t.Errorf("group %d: outputs differ", g)
		}
	}
	if !sameState(stateOf(old), stateOf(fresh)) {
		t.Error("statistics differ")
	}
}

func TestOneRowAloneGivesNoUpdate(t *testing.T) {
	site := []lm.Site{shaped("w", 3, 2)}
	in := someRows(rand.New(rand.NewPCG(8, 8)), site, 1)

	net := made(t, small(nil), site, true)
	r := newRig(t, net, 4)
	if err := r.run(in); err != nil {
		t.Fatal(err)
	}
	if q := r.layouts[0].Tasks[0][0]; q.Lo != q.Hi {
		t.Errorf("rows %v make an update", q)
	}
	for _, x := range r.out(0) {
		if x != x {
			t.Error("NaN in the factors")
		}
	}
	if net.Groups[0].Norm.K != 1 {
		t.Errorf("%d rows counted, want 1", net.Groups[0].Norm.K)
	}
	if err := r.run(someRows(rand.New(rand.NewPCG(8, 9)), site, 1)); err != nil {
		t.Fatal(err)
	}
	if q := r.layouts[0].Tasks[0][0]; q.Hi != 1 || net.Groups[0].Norm.K != 2 {
		t.Errorf("a second row: rows %v of %d make an update", q, net.Groups[0].Norm.K)
	}

	strict := newRig(t, made(t, small(nil), site, true), 4)
	strict.mode.Strict = true
	if err := strict.run(in); !errors.Is(err, ErrOneRow) {
		t.Errorf("strict: error %v, want %v", err, ErrOneRow)
	}
}

// TestRowsOfZerosAreDropped: rows with u = 0 or δ = 0 change neither outputs
// nor statistics.
func TestRowsOfZerosAreDropped(t *testing.T) {
	site := []lm.Site{shaped("w", 3, 2)}
	in := someRows(rand.New(rand.NewPCG(9, 9)), site, 4)[0]
	padded := rows{kernel.Mat(make([]float32, 21), 7, 3), kernel.Mat(make([]float32, 14), 7, 2)}
	for i, to := range []int{0, 2, 3, 6} { // 1, 4 and 5 are in between
		copy(padded.u.Data[to*3:to*3+3], in.u.Data[i*3:i*3+3])
		copy(padded.delta.Data[to*2:to*2+2], in.delta.Data[i*2:i*2+2])
	}
	copy(padded.u.Data[3:6], []float32{1, 2, 3})                                // δ = 0
	padded.delta.Data[8] = 5                                                    // u = 0
	padded.u.Data[15], padded.delta.Data[10] = float32(math.Copysign(0, -1)), 1 // u = -0
	a, b := made(t, small(nil), site, true), made(t, small(nil), site, true)
	ra, rb := newRig(t, a, 7), newRig(t, b, 7)
	if err := errors.Join(ra.run([]rows{in}), rb.run([]rows{padded})); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ra.out(0), rb.out(0)) || !sameState(stateOf(a), stateOf(b)) {
		t.Error("rows of zeros change the result")
	}
	nothing := rows{kernel.Mat(make([]float32, 6), 2, 3), kernel.Mat(make([]float32, 4), 2, 2)}
	before := stateOf(b)
	if err := rb.run([]rows{nothing}); err != nil {
		t.Fatal(err)
	}
	if len(rb.out(0)) != 0 || !sameState(before, stateOf(b)) {
		t.Error("an edit without rows changes something")
	}
}

// TestTheFloorLiftsDeadColumns: a column that never varied does not blow up.
func TestTheFloorLiftsDeadColumns(t *testing.T) {
	seen := []float32{1, 10, 3, 7, 3, 30, 3, 7, 2, 20, 3, 8}
	for _, c := range []struct{ floor, largest float64 }{{0, 1e6}, {1e-3, 2e3}} {
		norm := NewNormaliser(4, 3)
		norm.Floor = c.floor
		norm.Update(seen)
		out := make([]float32, 4)
		if err := norm.Apply(out, []float32{2, 20, 4, 7}); err != nil {
			t.Fatal(err)
		}
		if got := math.Abs(float64(out[2])); got < c.largest/10 || got > c.largest*10 {
			t.Errorf("floor %g: the dead column gives %g", c.floor, got)
		}
		if out[0] != 0 || out[1] != 0 {
			t.Errorf("floor %g: live columns give %v", c.floor, out[:2])
		}
	}
}

func TestNormOffStillCounts(t *testing.T) {
	site := []lm.Site{shaped("w", 3, 2)}
	net := made(t, small(func(c *Config) { c.Norm = false }), site, false)
	r := newRig(t, net, 4)
	if err := r.run(someRows(rand.New(rand.NewPCG(1, 9)), site, 4)); err != nil {
		t.Fatal(err)
	}
	if net.Groups[0].Norm.K != 4 {
		t.Errorf("%d rows counted, want 4", net.Groups[0].Norm.K)
	}
	if !slices.Equal(r.out(0), values(r.m, r.raw[0])) {
		t.Error("factors were divided")
	}
}

func TestStepSizesAlonePassFactorsOn(t *testing.T) {
	net := made(t, small(func(c *Config) { c.Kind = "rates" }), twoShapes(), false)
	if len(net.Flat) != 3 || net.Flat[0] != float32(net.Config.EditLR) {
		t.Errorf("parameters %v", net.Flat)
	}
	r := newRig(t, net, 4)
	if err := r.run(someRows(rand.New(rand.NewPCG(2, 9)), net.Sites, 4)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.out(0), values(r.m, r.raw[0])) {
		t.Error("factors were changed")
	}
}

// TestMiddleIsThatOfTheSorted takes values with many ties, and NaNs, which come
// first.
func TestMiddleIsThatOfTheSorted(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	for n := 1; n < 300; n++ {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.IntN(1 + n/2))
			if rng.IntN(50) == 0 {
				x[i] = float32(math.NaN())
			}
		}
		sorted := slices.Clone(x)
		slices.Sort(sorted)
		want := sorted[n/2]
		if got := middle(x); got != want && (got == got || want == want) {
			t.Fatalf("%d values: %v, want %v", n, got, want)
		}
	}
}

// TestNormaliserBytesDoNotDependOnTheCut spreads the columns over ranges of
// several widths.
func TestNormaliserBytesDoNotDependOnTheCut(t *testing.T) {
	const d, count = 700, 5
	rng := rand.New(rand.NewPCG(43, 44))
	rows := make([]float32, d*count)
	for i := range rows {
		rows[i] = float32(rng.NormFloat64())
	}
	var first []float32
	for _, width := range []int{d, 256, 100, 1} {
		n := NewNormaliser(d, 300)
		n.Floor = 1e-3
		cut := func(d int, fn func(lo, hi int)) {
			for lo := 0; lo < d; lo += width {
				fn(lo, min(lo+width, d))
			}
		}
		out := make([]float32, len(rows))
		for range 3 {
			n.update(rows, cut)
		}
		if err := n.apply(out, rows, cut); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = out
		}
		if !slices.Equal(out, first) {
			t.Fatalf("ranges of %d columns give other bytes", width)
		}
	}
}
