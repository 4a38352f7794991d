package tensorfile

import "encoding/binary"

// decode writes the values stored in raw to dst. Their lengths fit each other
// and d is a floating-point or quantised type; the callers have checked both.
//
// Throughout, float32(a*b)+c keeps the product rounded where the compiler
// could otherwise fuse the two operations, which would change last bits.
func (d DType) decode(dst []float32, raw []byte) {
	if !d.decodeVectors(dst, raw) {
		d.decodeGo(dst, raw)
	}
}

func (d DType) decodeGo(dst []float32, raw []byte) {
	switch d {
	case F32:
		decodeF32(dst, raw)
	case F16:
		decodeF16(dst, raw)
	case BF16:
		decodeBF16(dst, raw)
	case F64:
		decodeF64(dst, raw)
	case Q8_0:
		decodeQ8_0(dst, raw)
	case Q4_0:
		decodeQ4_0(dst, raw)
	case Q4_1:
		decodeQ4_1(dst, raw)
	case Q5_0:
		decodeQ5_0(dst, raw)
	case Q5_1:
		decodeQ5_1(dst, raw)
	case IQ4_NL:
		decodeIQ4_NL(dst, raw)
	case Q2_K:
		decodeQ2_K(dst, raw)
	case Q3_K:
		decodeQ3_K(dst, raw)
	case Q4_K:
		decodeQ4_K(dst, raw)
	case Q5_K:
		decodeQ5_K(dst, raw)
	case Q6_K:
		decodeQ6_K(dst, raw)
	case IQ4_XS:
		decodeIQ4_XS(dst, raw)
	case TQ1_0:
		decodeTQ1_0(dst, raw)
	case TQ2_0:
		decodeTQ2_0(dst, raw)
	default:
		panic("tensorfile: decode of a type that is no float")
	}
}

// half reads the half-precision scale at the start of b.
func half(b []byte) float32 { return FromF16(binary.LittleEndian.Uint16(b)) }

// nibbles writes table[low nibble] of the 16 packed bytes to y[0:16] and
// table[high nibble] to y[16:32].
func nibbles(y *[32]float32, packed *[16]byte, table *[16]float32) {
	for i, q := range packed {
		y[i] = table[q&15]
		y[i+16] = table[q>>4]
	}
}

// Block: scale d, 32 × int8. Value: q·d.
func decodeQ8_0(dst []float32, raw []byte) {
	for len(dst) >= 32 && len(raw) >= 34 {
		y, b := (*[32]float32)(dst), (*[34]byte)(raw)
		d := half(b[:])
		for i := range y {
			y[i] = float32(int8(b[2+i])) * d
		}
		dst, raw = dst[32:], raw[34:]
	}
}

// Block: scale d, 16 bytes of nibbles. Value: (q-8)·d.
func decodeQ4_0(dst []float32, raw []byte) {
	var table [16]float32
	for len(dst) >= 32 && len(raw) >= 18 {
		d := half(raw)
		for q := range table {
			table[q] = float32(q-8) * d
		}
		nibbles((*[32]float32)(dst), (*[16]byte)(raw[2:]), &table)
		dst, raw = dst[32:], raw[18:]
	}
}

// Block: scale d, minimum m, 16 bytes of nibbles. Value: q·d + m.
func decodeQ4_1(dst []float32, raw []byte) {
	var table [16]float32
	for len(dst) >= 32 && len(raw) >= 20 {
		d, m := half(raw), half(raw[2:])
		for q := range table {
			table[q] = float32(float32(q)*d) + m
		}
		nibbles((*[32]float32)(dst), (*[16]byte)(raw[4:]), &table)
		dst, raw = dst[32:], raw[20:]
	}
}

// Block: scale d, fifth bits h of all values, 16 bytes of nibbles.
// Value: (q-16)·d.
func decodeQ5_0(dst []float32, raw []byte) {
	for len(dst) >= 32 && len(raw) >= 22 {
		y, b := (*[32]float32)(dst), (*[22]byte)(raw)
		d, h := half(b[:]), binary.LittleEndian.Uint32(b[2:])
		for i := range 16 {
			q := uint32(b[6+i])
			y[i] = float32(int32(q&15|h>>i&1<<4)-16) * d
			y[i+16] = float32(int32(q>>4|h>>(i+16)&1<<4)-16) * d
		}
		dst, raw = dst[32:], raw[22:]
	}
}

// Block: scale d, minimum m, fifth bits h of all values, 16 bytes of nibbles.
// Value: q·d + m.
func decodeQ5_1(dst []float32, raw []byte) {
	for len(dst) >= 32 && len(raw) >= 24 {
		y, b := (*[32]float32)(dst), (*[24]byte)(raw)
		d, m, h := half(b[:]), half(b[2:]), binary.LittleEndian.Uint32(b[4:])
		for i := range 16 {
			q := uint32(b[8+i])
			y[i] = float32(float32(int32(q&15|h>>i&1<<4))*d) + m
			y[i+16] = float32(float32(int32(q>>4|h>>(i+16)&1<<4))*d) + m
		}
		dst, raw = dst[32:], raw[24:]
	}
}

// nonlinear returns the levels of IQ4_NL and IQ4_XS (kvalues_iq4nl in ggml)
// times d.
func nonlinear(d float32) [16]float32 {
	levels := [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	for i := range levels {
		levels[i] *= d
	}
	return levels
}

// Block: scale d, 16 bytes of nibbles. Value: d·level(q).
func decodeIQ4_NL(dst []float32, raw []byte) {
	for len(dst) >= 32 && len(raw) >= 18 {
		table := nonlinear(half(raw))
		nibbles((*[32]float32)(dst), (*[16]byte)(raw[2:]), &table)
		dst, raw = dst[32:], raw[18:]
	}
}
