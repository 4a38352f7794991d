package kernel

import (
	"math"
	"unsafe"
)

// The portable product. It does with one element at a time what the assembly
// does with a register of them, in the same order, so its bytes are the same.

// goLanes is the number of rows of a tile, and half its columns.
const goLanes = 4

// fma32Exact is a*b+c rounded once.
//
// The product of two float32s is exact in float64, so the only error is that
// the sum is rounded twice: to float64, then to float32. That matters when the
// first rounding lands on the middle between two float32s, or where float32s
// are subnormal and their middles lie elsewhere.
func fma32Exact(a, b, c float32) float32 {
	s := float64(a)*float64(b) + float64(c)
	const middle, tail = 1 << 28, 1<<29 - 1
	if math.Float64bits(s)&tail == middle || s < 0x1p-125 && s > -0x1p-125 {
		return fmaOdd(a, b, c)
	}
	return float32(s)
}

// fmaOdd rounds the float64 sum to odd instead of to even, which makes the
// second rounding right (Boldo and Melquiond, "Emulation of FMA and correctly
// rounded sums", 2008).
func fmaOdd(a, b, c float32) float32 {
	p, q := float64(a)*float64(b), float64(c)
	s := p + q
	t := s - p
	rest := (p - (s - t)) + (q - t) // exactly p+q-s (Knuth)
	if bits := math.Float64bits(s); rest != 0 && bits&1 == 0 && !math.IsNaN(rest) {
		// The exact sum lies between s and a neighbour, which is odd.
		if (rest > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
		s = math.Float64frombits(bits)
	}
	return float32(s)
}

func tileGo(rows, cols, k int, pa, pb, c *float32, ldc int, add bool) {
	a := unsafe.Slice(pa, k*goLanes)
	b := unsafe.Slice(pb, k*2*goLanes)
	out := unsafe.Slice(c, (rows-1)*ldc+cols)
	for r := range rows {
		var acc [2 * goLanes]float32
		for p := range k {
			x := a[p*goLanes+r]
			y := (*[2 * goLanes]float32)(b[p*2*goLanes:])
			for i := range acc {
				acc[i] = fma32(x, y[i], acc[i])
			}
		}
		row := out[r*ldc:][:cols]
		for i := range row {
			if add {
				row[i] += acc[i]
			} else {
				row[i] = acc[i]
			}
		}
	}
}

func packTransGo(dst *float32, stride int, src *float32, ld, rows, k int) {
	from := unsafe.Slice(src, (rows-1)*ld+k)
	to := unsafe.Slice(dst, (k-1)*stride+goLanes)
	for i := range goLanes {
		row := from
		if i < rows {
			row = from[i*ld:]
		}
		for p, x := range row[:k] {
			to[p*stride+i] = x
		}
	}
}

func packRowsGo(dst *float32, stride int, src *float32, ld, cols, k int) {
	from := unsafe.Slice(src, (k-1)*ld+cols)
	to := unsafe.Slice(dst, (k-1)*stride+goLanes)
	for p := range k {
		lanes := to[p*stride:][:goLanes]
		clear(lanes[copy(lanes, from[p*ld:][:cols]):])
	}
}
