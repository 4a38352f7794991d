package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactFMA is a*b+c rounded once, by arithmetic of arbitrary precision.
func exactFMA(a, b, c float32) float32 {
	wide := func(x float32) *big.Float { return new(big.Float).SetPrec(600).SetFloat64(float64(x)) }
	sum := new(big.Float).SetPrec(600).Mul(wide(a), wide(b))
	sum.Add(sum, wide(c))
	y, _ := sum.Float32()
	return y
}

// TestFMAIsRoundedOnce draws numbers whose sums often fall near the middle
// between two float32s, where rounding twice goes wrong.
func TestFMAIsRoundedOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	number := func() float32 {
		bits := rng.Uint32()
		keep := rng.IntN(24)
		bits &^= 1<<keep - 1 // few significant bits, so that ties occur
		exp := uint32(127 + rng.IntN(60) - 30)
		if rng.IntN(4) == 0 {
			exp = uint32(30 + rng.IntN(40)) // products reach the subnormals
		}
		return math.Float32frombits(bits&^(0xff<<23) | exp<<23)
	}
	middles, differ := 0, 0
	for range 400000 {
		a, b, c := number(), number(), number()
		if rng.IntN(2) == 0 { // put a*b at half a unit of c's last place
			c = float32(float64(a) * float64(b) * math.Ldexp(1, 20+rng.IntN(8)))
		}
		want := exactFMA(a, b, c)
		if got := fma32Exact(a, b, c); math.Float32bits(got) != math.Float32bits(want) && want != 0 {
			t.Fatalf("fma32Exact(%x, %x, %x) is %x, want %x", a, b, c, got, want)
		}
		if got := fma32(a, b, c); math.Float32bits(got) != math.Float32bits(want) && want != 0 {
			t.Fatalf("fma32(%x, %x, %x) is %x, want %x", a, b, c, got, want)
		}
		s := float64(a)*float64(b) + float64(c)
		if math.Float64bits(s)&(1<<29-1) == 1<<28 {
			middles++
		}
		if float32(s) != want {
			differ++
		}
	}
	if middles < 100 || differ < 10 {
		t.Errorf("only %d sums fell on a middle and %d needed care", middles, differ)
	}
}

func TestFMAOfNonFinite(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	for _, c := range [][3]float32{{inf, 1, -1}, {3e38, 3e38, 1}, {-3e38, 3e38, 0}} {
		if got, want := fma32(c[0], c[1], c[2]), float32(float64(c[0])*float64(c[1])+float64(c[2])); got != want {
			t.Errorf("fma32(%v) is %v, want %v", c, got, want)
		}
	}
	for _, c := range [][3]float32{{inf, 0, 1}, {nan, 1, 1}, {inf, 1, -inf}} {
		if got := fma32(c[0], c[1], c[2]); !math.IsNaN(float64(got)) {
			t.Errorf("fma32(%v) is %v, want NaN", c, got)
		}
	}
}

func TestBlocksOfKDependOnKAlone(t *testing.T) {
	for k := 1; k < 5000; k++ {
		b := blockK(k)
		if b < 1 || b > maxBlockK || b%stepK != 0 {
			t.Fatalf("blockK(%d) is %d", k, b)
		}
	}
}
