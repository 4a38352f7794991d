package tensorfile

import "encoding/binary"

// Block: 16 bytes of a 4-bit scale and a 4-bit minimum (one a 16 values), 64
// bytes of 2-bit values, d, dmin. Value: (d·scale)·q - dmin·minimum.
func decodeQ2_K(dst []float32, raw []byte) {
	for len(dst) >= 256 && len(raw) >= 84 {
		b := (*[84]byte)(raw)
		d, dmin := half(b[80:]), half(b[82:])
		for group := range 16 {
			scale := d * float32(b[group]&15)
			minimum := dmin * float32(b[group]>>4)
			// 128 values share 32 bytes: groups alternate between their halves
			// and move up two bits after each pair.
			qs := (*[16]byte)(b[16+group/8*32+group%2*16:])
			shift := group % 8 / 2 * 2
			y := (*[16]float32)(dst[16*group:])
			for i, q := range qs {
				y[i] = float32(scale*float32(q>>shift&3)) - minimum
			}
		}
		dst, raw = dst[256:], raw[84:]
	}
}

// Block: 32 bytes of third bits, 64 bytes of low two bits, 12 bytes of 16 6-bit
// scales, d. Value: (d·(scale-32))·(q-4).
func decodeQ3_K(dst []float32, raw []byte) {
	for len(dst) >= 256 && len(raw) >= 110 {
		b := (*[110]byte)(raw)
		scales, d := b[96:108], half(b[108:])
		for group := range 16 {
			low := scales[group%8] >> (group / 8 * 4) & 15
			high := scales[8+group%4] >> (group / 4 * 2) & 3
			scale := d * float32(int32(low|high<<4)-32)
			thirds := (*[16]byte)(b[group%2*16:])
			qs := (*[16]byte)(b[32+group/8*32+group%2*16:])
			shift, bit := group%8/2*2, group/2
			y := (*[16]float32)(dst[16*group:])
			for i, q := range qs {
				y[i] = scale * float32(int32(q>>shift&3|thirds[i]>>bit&1<<2)-4)
			}
		}
		dst, raw = dst[256:], raw[110:]
	}
}

// scaleMin returns the j-th of the 8 pairs of a 6-bit scale and a 6-bit minimum
// that Q4_K and Q5_K pack into 12 bytes.
func scaleMin(packed *[12]byte, j int) (scale, minimum float32) {
	if j < 4 {
		return float32(packed[j] & 63), float32(packed[j+4] & 63)
	}
	return float32(packed[j+4]&15 | packed[j-4]>>6<<4), float32(packed[j+4]>>4 | packed[j]>>6<<4)
}

// Block: d, dmin, 8 packed scales and minimums, 128 bytes of nibbles.
// Value: (d·scale)·q - dmin·minimum.
func decodeQ4_K(dst []float32, raw []byte) {
	for len(dst) >= 256 && len(raw) >= 144 {
		b := (*[144]byte)(raw)
		d, dmin := half(b[:]), half(b[2:])
		packed := (*[12]byte)(b[4:])
		for pair := range 4 {
			scale1, min1 := scaleMin(packed, 2*pair)
			scale2, min2 := scaleMin(packed, 2*pair+1)
			scale1, min1, scale2, min2 = d*scale1, dmin*min1, d*scale2, dmin*min2
			qs, y := (*[32]byte)(b[16+32*pair:]), (*[64]float32)(dst[64*pair:])
			for i, q := range qs {
				y[i] = float32(scale1*float32(q&15)) - min1
				y[i+32] = float32(scale2*float32(q>>4)) - min2
			}
		}
		dst, raw = dst[256:], raw[144:]
	}
}

// Block: d, dmin, 8 packed scales and minimums, 32 bytes of fifth bits, 128
// bytes of nibbles. Value: (d·scale)·q - dmin·minimum.
func decodeQ5_K(dst []float32, raw []byte) {
	for len(dst) >= 256 && len(raw) >= 176 {
		b := (*[176]byte)(raw)
		d, dmin := half(b[:]), half(b[2:])
		packed, fifths := (*[12]byte)(b[4:]), (*[32]byte)(b[16:])
		for pair := range 4 {
			scale1, min1 := scaleMin(packed, 2*pair)
			scale2, min2 := scaleMin(packed, 2*pair+1)
			scale1, min1, scale2, min2 = d*scale1, dmin*min1, d*scale2, dmin*min2
			qs, y := (*[32]byte)(b[48+32*pair:]), (*[64]float32)(dst[64*pair:])
			for i, q := range qs {
				h := fifths[i] >> (2 * pair)
				y[i] = float32(scale1*float32(q&15|h&1<<4)) - min1
				y[i+32] = float32(scale2*float32(q>>4|h>>1&1<<4)) - min2
			}
		}
		dst, raw = dst[256:], raw[176:]
	}
}

// Block: 128 bytes of low nibbles, 64 bytes of upper two bits, 16 × int8
// scales, d. Value: (d·scale)·(q-32).
func decodeQ6_K(dst []float32, raw []byte) {
	for len(dst) >= 256 && len(raw) >= 210 {
		b := (*[210]byte)(raw)
		d := half(b[208:])
		for group := range 16 { // 16 values that share a scale
			scale := d * float32(int8(b[192+group]))
			part, quarter, start := group/8, group%8/2, group%2*16
			low := (*[16]byte)(b[64*part+quarter%2*32+start:])
			high := (*[16]byte)(b[128+32*part+start:])
			y := (*[16]float32)(dst[16*group:])
			lowShift, highShift := quarter/2*4, quarter*2
			for i, q := range low {
				y[i] = scale * float32(int32(q>>lowShift&15|high[i]>>highShift&3<<4)-32)
			}
		}
		dst, raw = dst[256:], raw[210:]
	}
}

// Block: d, the upper two bits and then the nibbles of 8 6-bit scales, 128
// bytes of nibbles. Value: (d·(scale-32))·level(q).
func decodeIQ4_XS(dst []float32, raw []byte) {
	for len(dst) >= 256 && len(raw) >= 136 {
		b := (*[136]byte)(raw)
		d, upper := half(b[:]), int32(binary.LittleEndian.Uint16(b[2:]))
		for group := range 8 {
			low := int32(b[4+group/2]) >> (group % 2 * 4) & 15
			scale := low | upper>>(2*group)&3<<4
			table := nonlinear(d * float32(scale-32))
			nibbles((*[32]float32)(dst[32*group:]), (*[16]byte)(b[8+16*group:]), &table)
		}
		dst, raw = dst[256:], raw[136:]
	}
}
