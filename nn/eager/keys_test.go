package eager_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// rotation turns all dimensions of a head, at the usual frequencies.
func rotation(headDim, positions int) *kernel.Rotation {
	r := &kernel.Rotation{HeadDim: headDim, Rotary: headDim}
	for p := range positions {
		for i := range headDim / 2 {
			a := float64(p) * math.Pow(10000, -2*float64(i)/float64(headDim))
			r.Cos, r.Sin = append(r.Cos, float32(math.Cos(a))), append(r.Sin, float32(math.Sin(a)))
		}
	}
	return r
}

// block is attention with residuals, in two layers with grouped queries.
type block struct {
	q, k, v, out []*nn.Linear
	shape        kernel.Attention
	rot          *kernel.Rotation
}

func newBlock(rng *rand.Rand, layers, positions int) *block {
	const width, inner, kv = 12, 16, 8
	b := &block{shape: kernel.Attention{Heads: 4, KVHeads: 2, HeadDim: 4, Scale: 0.5}, rot: rotation(4, positions)}
	linear := func(name string, in, out int) *nn.Linear {
		return &nn.Linear{W: param(name, random(rng, out, in)), In: in, Out: out}
	}
	for i := range layers {
		b.q = append(b.q, linear(fmt.Sprintf("q%d", i), width, inner))
		b.k = append(b.k, linear(fmt.Sprintf("k%d", i), width, kv))
		b.v = append(b.v, linear(fmt.Sprintf("v%d", i), width, kv))
		b.out = append(b.out, linear(fmt.Sprintf("out%d", i), inner, width))
	}
	return b
}

func (b *block) run(o *eager.Ops, x kernel.Matrix, s *nn.Sequences) kernel.Matrix {
	for i := range b.q {
		q := o.Rotate(o.Linear(b.q[i], x), b.shape.Heads, b.rot, s)
		k := o.Rotate(o.Linear(b.k[i], x), b.shape.KVHeads, b.rot, s)
		x = o.Add(x, o.Linear(b.out[i], o.Attend(i, q, k, o.Linear(b.v[i], x), b.shape, s)))
	}
	return x
}

// next runs rows [lo, hi) of the text x behind those that past keeps.
func (b *block) next(o *eager.Ops, past *nn.Keys, x kernel.Matrix, lo, hi int) []uint32 {
	s := &nn.Sequences{Past: past, Segs: []kernel.Segment{{QLen: hi - lo, KLen: hi}}}
	for p := lo; p < hi; p++ {
		s.Pos = append(s.Pos, int32(p))
	}
	part := x.Slice(lo, hi)
	b.run(o, part, s) // without Advance it leaves nothing behind
	y := b.run(o, part, s)
	past.Advance(hi - lo)
	return bytesOf(y)
}

// TestCachedEqualsUncached: a text computed in pieces, with the keys and values
// of earlier rows kept, gives the bytes of the text computed at once, also
// beside another text, and after rows were forgotten and computed anew.
func TestCachedEqualsUncached(t *testing.T) {
	const rows, width, layers = 9, 12, 2
	rng := rand.New(rand.NewPCG(21, 22))
	b := newBlock(rng, layers, rows)
	o := newOps(t)
	x := random(rng, rows, width)
	want := bytesOf(b.run(o, x, nn.Pack(rows)))
	both := kernel.Mat(append(slices.Clone(random(rng, 4, width).Data), x.Data...), 4+rows, width)
	if got := bytesOf(b.run(o, both, nn.Pack(4, rows))); !slices.Equal(got[4*width:], want) {
		t.Error("a text behind another one gives other bytes")
	}
	for _, cuts := range [][]int{{rows}, {1, 2, 3, 4, 5, 6, 7, 8, rows}, {4, 5, rows}} {
		past := nn.NewKeys(layers)
		var got []uint32
		lo := 0
		for _, hi := range cuts {
			got = append(got, b.next(o, past, x, lo, hi)...)
			lo = hi
		}
		if past.Rows() != rows || !slices.Equal(got, want) {
			t.Errorf("cut at %v: %d rows kept, other bytes than at once", cuts, past.Rows())
		}
		past.Truncate(3)
		if past.Rows() != 3 || !slices.Equal(b.next(o, past, x, 3, rows), want[3*width:]) {
			t.Errorf("cut at %v: other bytes after Truncate", cuts)
		}
		past.Truncate(rows + 5)
		if past.Rows() != rows {
			t.Errorf("Truncate beyond the end leaves %d rows", past.Rows())
		}
	}
	if o.Err() != nil {
		t.Fatal(o.Err())
	}
}

// TestListedKeysEqualWhole: rows of a text whose earlier keys are listed, some of
// them kept from a run before and some at hand, get the bytes of the whole text;
// so do two texts that begin alike and share the rows of their beginning.
func TestListedKeysEqualWhole(t *testing.T) {
	const rows, width, layers = 9, 12, 2
	rng := rand.New(rand.NewPCG(27, 28))
	b, o := newBlock(rng, layers, rows), newOps(t)
	x := random(rng, rows, width)
	record := nn.Pack(rows)
	record.Past = nn.NewKeys(layers)
	want := bytesOf(b.run(o, x, record))
	record.Past.Advance(rows)
	if plain := bytesOf(b.run(o, x, nn.Pack(rows))); !slices.Equal(plain, want) {
		t.Error("keeping keys gives other bytes")
	}
	const from = 4
	s := &nn.Sequences{Past: record.Past, Segs: []kernel.Segment{{QLen: rows - from, KLen: rows}}}
	for r := range rows {
		if r < from {
			s.Keys = append(s.Keys, ^int32(r))
			continue
		}
		s.Keys, s.Pos = append(s.Keys, int32(r-from)), append(s.Pos, int32(r))
	}
	if got := bytesOf(b.run(o, x.Slice(from, rows), s)); !slices.Equal(got, want[from*width:]) {
		t.Error("rows behind kept ones get other bytes")
	}
	if record.Past.Rows() != rows {
		t.Errorf("%d rows are kept after they were read", record.Past.Rows())
	}
	other := random(rng, 2, width) // another end of the first text's first four rows
	both := kernel.Mat(append(slices.Clone(x.Data), other.Data...), rows+2, width)
	shared := &nn.Sequences{
		Pos:  []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 4, 5},
		Segs: []kernel.Segment{{QLen: rows, KLen: rows}, {Q: rows, QLen: 2, K: rows, KLen: 6}},
		Keys: []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 9, 10},
	}
	got := bytesOf(b.run(o, both, shared))
	alone := kernel.Mat(append(slices.Clone(x.Data[:4*width]), other.Data...), 6, width)
	if second := bytesOf(b.run(o, alone, nn.Pack(6))); !slices.Equal(got[:rows*width], want) || !slices.Equal(got[rows*width:], second[4*width:]) {
		t.Error("texts that share rows get other bytes")
	}
}

// TestAttendAgreesWithTheFormula: two texts, causal, grouped queries.
func TestAttendAgreesWithTheFormula(t *testing.T) {
	o := newOps(t)
	rng := rand.New(rand.NewPCG(23, 24))
	a := kernel.Attention{Heads: 4, KVHeads: 2, HeadDim: 4, Scale: 0.5}
	q, k, v := random(rng, 7, 16), random(rng, 7, 8), random(rng, 7, 8)
	begin := func(i int) int { // of the text of row i
		if i < 4 {
			return 0
		}
		return 4
	}
	same(t, "attention", o.Attend(0, q, k, v, a, nn.Pack(4, 3)), func(i, j int) float64 {
		head, d := j/4, j%4
		total, sum := 0.0, 0.0
		for r := begin(i); r <= i; r++ {
			score := 0.0
			for c := range 4 {
				score += at(q, i, head*4+c) * at(k, r, head/2*4+c)
			}
			w := math.Exp(0.5 * score)
			total += w
			sum += w * at(v, r, head/2*4+d)
		}
		return sum / total
	})
}

// TestRotateAgreesWithTheFormula turns the pairs (i, i+2) of heads of 4.
func TestRotateAgreesWithTheFormula(t *testing.T) {
	o := newOps(t)
	x := random(rand.New(rand.NewPCG(25, 26)), 5, 8)
	s := nn.Pack(2, 3)
	same(t, "rotation", o.Rotate(x, 2, rotation(4, 3), s), func(i, j int) float64 {
		head, c := j/4*4, j%4
		angle := float64(s.Pos[i]) * math.Pow(10000, -2*float64(c%2)/4)
		a, b := at(x, i, head+c%2), at(x, i, head+c%2+2)
		if c < 2 {
			return a*math.Cos(angle) - b*math.Sin(angle)
		}
		return b*math.Cos(angle) + a*math.Sin(angle)
	})
}
