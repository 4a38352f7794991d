package tensorfile

import (
	"math"
	"math/rand/v2"
	"testing"
)

// halfValue is the definition of a half-precision number, in float64.
func halfValue(h uint16) float64 {
	sign, exponent, mantissa := 1.0, int(h>>10&31), float64(h&0x3ff)
	if h>>15 == 1 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * math.Ldexp(mantissa, -24)
	case 31:
		if mantissa != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+mantissa, exponent-25)
}

func TestFromF16_agrees_with_the_definition_for_all_numbers(t *testing.T) {
	for h := range 1 << 16 {
		got, want := float64(FromF16(uint16(h))), halfValue(uint16(h))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != (h>>15 == 1) {
			t.Fatalf("%#04x: %g, want %g", h, got, want)
		}
	}
}

func TestF16_and_BF16_survive_the_way_there_and_back(t *testing.T) {
	for h := range 1 << 16 {
		v := FromF16(uint16(h))
		if got := ToF16(v); got != uint16(h) && v == v || v != v && FromF16(got) == FromF16(got) {
			t.Fatalf("F16 %#04x became %#04x", h, got)
		}
		v = FromBF16(uint16(h))
		if got := ToBF16(v); got != uint16(h) && v == v || v != v && FromBF16(got) == FromBF16(got) {
			t.Fatalf("BF16 %#04x became %#04x", h, got)
		}
	}
}

// nearest checks that no neighbour of a rounded value is nearer, nor as near
// with an even last bit. It works in float64, where all of this is exact.
func nearest(t *testing.T, v float32, bits uint16, from func(uint16) float32, limit float64) {
	t.Helper()
	value := func(b uint16) float64 {
		x := float64(from(b))
		if math.IsInf(x, 0) { // stands for the next power of two
			return math.Copysign(limit, x)
		}
		return x
	}
	distance := math.Abs(value(bits) - float64(v))
	for _, other := range []uint16{bits - 1, bits + 1} {
		if other&0x7fff == 0x7fff || other>>15 != bits>>15 || math.IsNaN(value(other)) {
			continue
		}
		d := math.Abs(value(other) - float64(v))
		if d < distance || d == distance && bits&1 == 1 {
			t.Fatalf("%g became %g, %g is nearer", v, from(bits), from(other))
		}
	}
}

func TestRounding_is_to_nearest_ties_to_even(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	checked := 0
	for range 200_000 {
		v := math.Float32frombits(rng.Uint32())
		if v == v && !math.IsInf(float64(v), 0) {
			nearest(t, v, ToBF16(v), FromBF16, math.Ldexp(1, 128))
		}
		// The range of halves, and a little more at both ends.
		small := float32(math.Ldexp(1+rng.Float64(), rng.IntN(44)-28))
		if math.Abs(float64(small)) < 1<<16 {
			nearest(t, small, ToF16(small), FromF16, 1<<16)
			nearest(t, -small, ToF16(-small), FromF16, 1<<16)
			checked++
		}
	}
	for h := range uint16(0x7bff) { // every tie between two halves
		tie := (FromF16(h) + FromF16(h+1)) / 2
		nearest(t, tie, ToF16(tie), FromF16, 1<<16)
		checked++
	}
	for _, c := range []struct {
		v    float32
		want uint16
	}{
		{65504, 0x7bff}, {65519.996, 0x7bff}, {65520, 0x7c00}, {-1e10, 0xfc00}, {float32(math.Inf(1)), 0x7c00},
		{0x1p-25, 0}, {0x1.000002p-25, 1}, {-0x1p-26, 0x8000}, {0x1p-14, 0x0400}, {0x1.fffffep-15, 0x0400},
	} {
		if got := ToF16(c.v); got != c.want {
			t.Errorf("%g became %#04x, want %#04x", c.v, got, c.want)
		}
	}
	if checked < 100_000 {
		t.Errorf("only %d checked", checked)
	}
}
