package tensorfile

import (
	"encoding/binary"
	"math"
)

const (
	expMask32 = 0x7f800000
	signMask  = 0x80000000
)

// FromF16 returns the value of the IEEE 754 half-precision number with bits h.
func FromF16(h uint16) float32 {
	sign, rest := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	if rest-0x400 < 0x7800 { // a normal number: only the exponent's bias differs
		return math.Float32frombits(sign | (rest<<13 + 112<<23))
	}
	if rest < 0x400 { // zero or subnormal: units of 2^-24, exact in float32
		const unit = 1.0 / (1 << 24)
		return math.Float32frombits(sign | math.Float32bits(float32(rest)*unit))
	}
	return math.Float32frombits(sign | expMask32 | rest<<13)
}

// ToF16 returns the bits of the half-precision number nearest to v, ties to
// even. From 65520 on that is an infinity; a NaN stays a NaN.
func ToF16(v float32) uint16 {
	bits := math.Float32bits(v)
	sign, rest := uint16(bits>>16)&0x8000, bits&^signMask
	switch {
	case rest > expMask32: // NaN: keep the top of the payload, never an infinity
		return sign | 0x7e00 | uint16(rest>>13)&0x1ff
	case rest >= 0x477ff000: // 65520, halfway between the largest half and 2^16
		return sign | 0x7c00
	case rest >= 0x38800000: // 2^-14, the smallest normal half
		rest -= 112 << 23
		return sign | uint16((rest+0xfff+rest>>13&1)>>13)
	case rest < 0x33000000: // less than 2^-25, half of the smallest subnormal
		return sign
	}
	// Subnormal: the 24-bit mantissa, counted in units of 2^-24.
	shift := 126 - rest>>23
	mantissa := rest&0x7fffff | 0x800000
	half := uint32(1)<<(shift-1) - 1
	return sign | uint16((mantissa+half+mantissa>>shift&1)>>shift)
}

// FromBF16 returns the value of the bfloat16 number with bits b.
func FromBF16(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// ToBF16 returns the bits of the bfloat16 number nearest to v, ties to even.
// A NaN stays a NaN.
func ToBF16(v float32) uint16 {
	bits := math.Float32bits(v)
	if bits&^signMask > expMask32 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

func decodeF32(dst []float32, raw []byte) {
	if hostIsLittleEndian() && len(raw) > 0 && aligned(raw, 4) {
		copy(dst, mappedFloats(raw))
		return
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
}

func decodeF64(dst []float32, raw []byte) {
	for i := range dst {
		dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
	}
}

func decodeF16(dst []float32, raw []byte) {
	for len(dst) >= 4 && len(raw) >= 8 {
		word := binary.LittleEndian.Uint64(raw)
		dst[0] = FromF16(uint16(word))
		dst[1] = FromF16(uint16(word >> 16))
		dst[2] = FromF16(uint16(word >> 32))
		dst[3] = FromF16(uint16(word >> 48))
		dst, raw = dst[4:], raw[8:]
	}
	for i := range dst {
		dst[i] = FromF16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
}

func decodeBF16(dst []float32, raw []byte) {
	for len(dst) >= 4 && len(raw) >= 8 {
		word := binary.LittleEndian.Uint64(raw)
		dst[0] = math.Float32frombits(uint32(word) << 16)
		dst[1] = math.Float32frombits(uint32(word) & 0xffff0000)
		dst[2] = math.Float32frombits(uint32(word>>32) << 16)
		dst[3] = math.Float32frombits(uint32(word>>32) & 0xffff0000)
		dst, raw = dst[4:], raw[8:]
	}
	for i := range dst {
		dst[i] = FromBF16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
}
