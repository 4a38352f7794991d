package lm

import (
	"fmt"
	"math"

	"keyhole.example/keyhole/internal/kernel"
)

// The names of scalings, as config.json spells them.
const (
	scaleLinear = "linear"
	scaleLlama3 = "llama3"
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
	case "", scaleLinear:
	case scaleLlama3:
		if !(r.LowFreq > 0 && r.HighFreq > r.LowFreq && r.HighFreq < 1e6) {
			return fmt.Errorf("rope scaling: frequency factors %v and %v are not two ascending positive numbers", r.LowFreq, r.HighFreq)
		}
		if r.Original < 1 || r.Original > maxContext {
			return fmt.Errorf("rope scaling: original context %d is not in 1 to %d", r.Original, maxContext)
		}
	default:
		return fmt.Errorf("rope scaling %q is not supported (want linear or llama3)", r.Scaling)
	}
	return nil
}

// frequencies are the angles per position, [Dims/2], rounded to float32 where
// transformers rounds them.
func (r *Rope) frequencies() []float32 {
	inv := make([]float32, r.Dims/2)
	for i := range inv {
		exponent := float32(2*i) / float32(r.Dims)
		inv[i] = 1 / float32(math.Pow(r.Base, float64(exponent)))
	}
	if r.Scaling == scaleLlama3 {
		for i, f := range inv {
			inv[i] = float32(float64(f) / r.slowdown(float64(f)))
		}
	}
	return inv
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
	inv := r.frequencies()
	for p := range positions {
		at := float32(p) / step
		for i, f := range inv {
			sin, cos := math.Sincos(float64(at * f))
			t.Cos[p*half+i], t.Sin[p*half+i] = float32(cos), float32(sin)
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
	if c.Rope.Dims > 0 {
		return min(c.Context, maxRotated)
	}
	return c.Context
}

// rotation is asked for last, when the weights have confirmed the sizes.
func (b *binder) rotation(c *Config) *kernel.Rotation {
	if b.err != nil {
		return nil
	}
	return c.Rope.rotation(c.HeadDim, c.limit())
}
