package serac

import "math"

// measure is how alike two vectors are: s = log of the similarity, at most 0.
type measure struct {
	square, cosine, bounded bool
	heads                   int
}

func (c *Config) measure() measure {
	return measure{square: c.Square, cosine: c.Cosine, bounded: c.Bounded, heads: c.Heads}
}

// log is s of two vectors [width]: minus the squared distance, or what the
// settings say instead.
func (m measure) log(a, b []float32) float64 {
	s, _ := m.nearest(a, b)
	return s
}

// nearest is s, and the part of the vectors that it is of.
func (m measure) nearest(a, b []float32) (s float64, head int) {
	part := len(a) / m.heads
	s = math.Inf(-1)
	for h := range m.heads {
		if v := -m.distance(a[h*part:(h+1)*part], b[h*part:(h+1)*part]); v > s || math.IsNaN(v) {
			s, head = v, h
		}
	}
	return s, head
}

// at is a component as it is compared.
func (m measure) at(v float32) float64 {
	if m.bounded {
		return math.Tanh(float64(v))
	}
	return float64(v)
}

func (m measure) distance(a, b []float32) float64 {
	if m.cosine {
		dot, aa, bb := m.products(a, b)
		return 1 - dot/math.Sqrt(aa*bb)
	}
	sum := 0.0
	for i := range a {
		d := m.at(a[i]) - m.at(b[i])
		sum += d * d
	}
	if m.square {
		return sum
	}
	return math.Sqrt(sum)
}

func (m measure) products(a, b []float32) (dot, aa, bb float64) {
	const least = 1e-16 // of a squared norm, as the reference's guard against zero vectors
	for i := range a {
		x, y := m.at(a[i]), m.at(b[i])
		dot, aa, bb = dot+x*y, aa+x*x, bb+y*y
	}
	return dot, max(aa, least), max(bb, least)
}

// addGrad adds by · ∂s/∂a to da and by · ∂s/∂b to db.
func (m measure) addGrad(a, b, da, db []float32, by float64) {
	_, head := m.nearest(a, b)
	part := len(a) / m.heads
	lo, hi := head*part, (head+1)*part
	a, b, da, db = a[lo:hi], b[lo:hi], da[lo:hi], db[lo:hi]
	var dot, aa, bb, far float64
	if m.cosine {
		dot, aa, bb = m.products(a, b)
	} else if !m.square {
		far = m.distance(a, b)
	}
	for i := range a {
		x, y := m.at(a[i]), m.at(b[i])
		var gx, gy float64
		switch {
		case m.cosine:
			n := math.Sqrt(aa * bb)
			gx, gy = y/n-dot/n*x/aa, x/n-dot/n*y/bb
		case m.square:
			gx, gy = -2*(x-y), 2*(x-y)
		case far > 0:
			gx, gy = -(x-y)/far, (x-y)/far
		}
		if m.bounded {
			gx, gy = gx*(1-x*x), gy*(1-y*y)
		}
		da[i] += float32(by * gx)
		db[i] += float32(by * gy)
	}
}
