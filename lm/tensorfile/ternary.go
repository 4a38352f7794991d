package tensorfile

// trit returns the n-th digit (most significant first) of a byte that holds
// base-3 digits as the fraction q/256: times 3^n modulo 256 drops the digits
// before, and what then carries over 256 after one more factor 3 is the digit.
// The value is digit - 1.
func trit(q byte, power byte) float32 {
	return float32(int32(uint16(q*power)*3>>8) - 1)
}

// Block: 48 bytes of five ternary digits each, 4 bytes of four digits, d.
// Value: (digit-1)·d. Digits of one rank lie side by side over 32, then 16,
// then 4 bytes.
func decodeTQ1_0(dst []float32, raw []byte) {
	powers := [5]byte{1, 3, 9, 27, 81}
	for len(dst) >= 256 && len(raw) >= 54 {
		b := (*[54]byte)(raw)
		d := half(b[52:])
		y := dst[:256]
		for _, part := range [3]struct{ bytes, digits []byte }{
			{b[:32], powers[:]}, {b[32:48], powers[:]}, {b[48:52], powers[:4]},
		} {
			for _, power := range part.digits {
				for i, q := range part.bytes {
					y[i] = trit(q, power) * d
				}
				y = y[len(part.bytes):]
			}
		}
		dst, raw = dst[256:], raw[54:]
	}
}

// Block: 64 bytes of 2-bit values, d. Value: (q-1)·d. Each half of 128 values
// has 32 bytes, whose pairs of bits go up every 32 values.
func decodeTQ2_0(dst []float32, raw []byte) {
	for len(dst) >= 256 && len(raw) >= 66 {
		b := (*[66]byte)(raw)
		d := half(b[64:])
		for group := range 8 {
			qs, shift := (*[32]byte)(b[group/4*32:]), group%4*2
			y := (*[32]float32)(dst[32*group:])
			for i, q := range qs {
				y[i] = float32(int32(q>>shift&3)-1) * d
			}
		}
		dst, raw = dst[256:], raw[66:]
	}
}
