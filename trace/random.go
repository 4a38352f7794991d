package trace

import (
	"math"

	"gonum.org/v1/gonum/mathext/prng"
)

// randomState is NumPy's RandomState: the Mersenne Twister MT19937 (Matsumoto
// and Nishimura 1998), doubles of 53 bits, and normals by the polar method
// (Marsaglia), which come in pairs.
type randomState struct {
	bits  *prng.MT19937
	spare float64
	has   bool
}

func newRandomState(seed uint32) *randomState {
	r := &randomState{bits: prng.NewMT19937()}
	r.bits.Seed(uint64(seed))
	return r
}

// float64 is uniform in [0, 1).
func (r *randomState) float64() float64 {
	a, b := r.bits.Uint32()>>5, r.bits.Uint32()>>6
	return (float64(a)*(1<<26) + float64(b)) / (1 << 53)
}

// normal is standard normal.
func (r *randomState) normal() float64 {
	if r.has {
		r.has = false
		return r.spare
	}
	for {
		x, y := 2*r.float64()-1, 2*r.float64()-1
		if s := x*x + y*y; s > 0 && s < 1 {
			f := math.Sqrt(-2 * math.Log(s) / s)
			r.spare, r.has = f*x, true
			return f * y
		}
	}
}

// uniform is uniform in [-1, 1).
func (r *randomState) uniform() float64 { return -1 + 2*r.float64() }
