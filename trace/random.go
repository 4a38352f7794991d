package trace

import "math"

// randomState is NumPy's RandomState: the Mersenne Twister MT19937 (Matsumoto
// and Nishimura 1998), doubles of 53 bits, and normals by the polar method
// (Marsaglia), which come in pairs.
type randomState struct {
	key   [mtSize]uint32
	at    int
	spare float64
	has   bool
}

const (
	mtSize = 624
	mtStep = 397
)

func newRandomState(seed uint32) *randomState {
	r := &randomState{at: mtSize}
	for i := range r.key {
		r.key[i] = seed
		seed = 1812433253*(seed^seed>>30) + uint32(i) + 1
	}
	return r
}

func (r *randomState) refill() {
	const upper, lower, matrix = 0x80000000, 0x7fffffff, 0x9908b0df
	for i := range r.key {
		y := r.key[i]&upper | r.key[(i+1)%mtSize]&lower
		next := r.key[(i+mtStep)%mtSize] ^ y>>1
		if y&1 == 1 {
			next ^= matrix
		}
		r.key[i] = next
	}
	r.at = 0
}

func (r *randomState) uint32() uint32 {
	if r.at == mtSize {
		r.refill()
	}
	y := r.key[r.at]
	r.at++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// float64 is uniform in [0, 1).
func (r *randomState) float64() float64 {
	a, b := r.uint32()>>5, r.uint32()>>6
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
