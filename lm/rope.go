package lm

import (
	"fmt"
	"math"

	"keyhole.example/keyhole/internal/kernel"
)

// The names of scalings, as config.json spells them.
const (
	scaleLinear   = "linear"
	scaleDynamic  = "dynamic"
	scaleYarn     = "yarn"
	scaleLongrope = "longrope"
	scaleLlama3   = "llama3"
)

func (r *Rope) validate(headDim int) error {
	if r.Dims == 0 {
		return nil
	}
	switch {
	case r.Dims < 0 || r.Dims%2 != 0 || r.Dims > headDim:
		return fmt.Errorf("rotary dimensions: %d is not an even number up to the head dimension %d", r.Dims, headDim)
	case !(r.Base > 1 && r.Base < 1e12):
		return fmt.Errorf("rotary base: %v is not in 1 to 1e12", r.Base)
	case r.Scaling != "" && !(r.Factor >= 1 && r.Factor < 1e6):
		return fmt.Errorf("rope scaling factor: %v is not in 1 to 1e6", r.Factor)
	}
	switch r.Scaling {
	case "", scaleLinear, scaleDynamic:
		return nil
	case scaleLlama3:
		if !(r.LowFreq > 0 && r.HighFreq > r.LowFreq && r.HighFreq < 1e6) {
			return fmt.Errorf("rope scaling: frequency factors %v and %v are not two ascending positive numbers", r.LowFreq, r.HighFreq)
		}
	case scaleYarn:
		if !(r.BetaSlow > 0 && r.BetaFast > r.BetaSlow && r.BetaFast < 1e6) {
			return fmt.Errorf("rope scaling: beta_slow %v and beta_fast %v are not two ascending positive numbers", r.BetaSlow, r.BetaFast)
		}
	case scaleLongrope:
		if len(r.Short) != r.Dims/2 {
			return fmt.Errorf("rope scaling: short_factor has %d numbers for %d rotary dimensions, want half", len(r.Short), r.Dims)
		}
		for i, f := range r.Short {
			if !(f > 0 && f < 1e6) {
				return fmt.Errorf("rope scaling: short_factor %d is %v, which is not in 0 to 1e6", i, f)
			}
		}
	default:
		return fmt.Errorf("rope scaling %q is not supported (want linear, dynamic, yarn, longrope or llama3)", r.Scaling)
	}
	if r.Scaling != scaleLlama3 && !(r.Attention > 0 && r.Attention < 1e3) {
		return fmt.Errorf("rope scaling: attention factor %v is not in 0 to 1000", r.Attention)
	}
	if r.Original < 1 || r.Original > maxContext {
		return fmt.Errorf("rope scaling: original context %d is not in 1 to %d", r.Original, maxContext)
	}
	return nil
}

// frequencies are the angles per position, [Dims/2], rounded to float32 where
// transformers rounds them (modeling_rope_utils.py). A dynamic scaling changes
// nothing inside the context, behind which no text goes here.
func (r *Rope) frequencies() []float32 {
	inv, waves := make([]float32, r.Dims/2), make([]float32, r.Dims/2)
	for i := range inv {
		exponent := float32(2*i) / float32(r.Dims)
		wave := float32(math.Pow(r.Base, float64(exponent)))
		if r.Scaling == scaleLongrope {
			wave *= float32(r.Short[i])
		}
		inv[i], waves[i] = 1/wave, wave
	}
	switch r.Scaling {
	case scaleLlama3:
		for i, f := range inv {
			inv[i] = float32(float64(f) / r.slowdown(float64(f)))
		}
	case scaleYarn:
		lo, hi := r.ramp()
		for i, f := range inv {
			slow := float32(min(max((float64(i)-lo)/(hi-lo), 0), 1))
			inv[i] = 1/(float32(r.Factor)*waves[i])*slow + f*(1-slow)
		}
	}
	return inv
}

// ramp is where yarn goes over from frequencies as they are to those divided by
// Factor (Peng et al. 2023, arXiv:2309.00071), as numbers of pairs.
func (r *Rope) ramp() (lo, hi float64) {
	at := func(rotations float64) float64 {
		return float64(r.Dims) * math.Log(float64(r.Original)/(rotations*2*math.Pi)) / (2 * math.Log(r.Base))
	}
	lo, hi = at(r.BetaFast), at(r.BetaSlow)
	if r.Whole {
		lo, hi = math.Floor(lo), math.Ceil(hi)
	}
	lo, hi = max(lo, 0), min(hi, float64(r.Dims-1))
	if lo == hi {
		hi += 0.001
	}
	return lo, hi
}

// slowdown is what llama3's scaling divides the frequency f by: 1 for short
// waves, Factor for long ones, a blend between (transformers,
// modeling_rope_utils.py).
func (r *Rope) slowdown(f float64) float64 {
	wave := 2 * math.Pi / f
	original := float64(r.Original)
	switch {
	case wave < original/r.HighFreq:
		return 1
	case wave > original/r.LowFreq:
		return r.Factor
	}
	smooth := (original/wave - r.LowFreq) / (r.HighFreq - r.LowFreq)
	return 1 / ((1-smooth)/r.Factor + smooth)
}

// rotation tabulates cos and sin for the given number of positions.
func (r *Rope) rotation(headDim, positions int) *kernel.Rotation {
	half := r.Dims / 2
	t := &kernel.Rotation{
		HeadDim: headDim, Rotary: r.Dims, Interleaved: r.Interleaved,
		Cos: make([]float32, positions*half), Sin: make([]float32, positions*half),
	}
	step := float32(1)
	if r.Scaling == scaleLinear {
		step = float32(r.Factor)
	}
	size := float32(1)
	if r.Scaling == scaleYarn || r.Scaling == scaleLongrope {
		size = float32(r.Attention)
	}
	inv := r.frequencies()
	for p := range positions {
		at := float32(p) / step
		for i, f := range inv {
			sin, cos := math.Sincos(float64(at * f))
			t.Cos[p*half+i], t.Sin[p*half+i] = float32(cos)*size, float32(sin)*size
		}
	}
	return t
}

// share is the part of a head that turns, so that the product with headDim,
// cut to a whole number, gives Dims again.
func (r *Rope) share(headDim int) float64 {
	share := float64(r.Dims) / float64(headDim)
	for int(float64(headDim)*share) < r.Dims {
		share = math.Nextafter(share, 1)
	}
	return share
}

// maxRotated bounds the tables of rotary positions: 131072 positions.
const maxRotated = 1 << 17

// limit is the number of positions that can be computed.
func (c *Config) limit() int {
	n := c.Context
	if c.Rope.Dims > 0 {
		n = min(n, maxRotated)
	}
	if c.Rope.Scaling == scaleLongrope { // longer texts have other frequencies from their first token on
		n = min(n, c.Rope.Original)
	}
	return n
}

// localRotation is that of the blocks with the window.
func (b *binder) localRotation(c *Config) *kernel.Rotation {
	if b.err != nil || c.LocalBase == 0 {
		return nil
	}
	local := Rope{Base: c.LocalBase, Dims: c.Rope.Dims}
	return local.rotation(c.HeadDim, c.limit())
}

// rotation is asked for last, when the weights have confirmed the sizes.
func (b *binder) rotation(c *Config) *kernel.Rotation {
	if b.err != nil {
		return nil
	}
	return c.Rope.rotation(c.HeadDim, c.limit())
}
