package tensorfile

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Encode appends values in the stored form of dtype: F32, F16 or BF16, rounded
// to nearest, ties to even, or Q8_0, as ggml's quantize_row_q8_0 rounds. A finite
// value too large for dtype is an error. Q8_0 takes whole blocks of 32.
func Encode(raw []byte, values []float32, dtype DType) ([]byte, error) {
	le := binary.LittleEndian
	const infinity16, sign16 = 0x7c00, 0x8000
	const infinityB16 = 0x7f80
	switch dtype {
	case F32:
		for _, v := range values {
			raw = le.AppendUint32(raw, math.Float32bits(v))
		}
	case F16:
		for i, v := range values {
			h := ToF16(v)
			if h&^sign16 == infinity16 && !math.IsInf(float64(v), 0) {
				return nil, tooLarge(i, v, dtype, "BF16 or F32")
			}
			raw = le.AppendUint16(raw, h)
		}
	case BF16:
		for i, v := range values {
			b := ToBF16(v)
			if b&^sign16 == infinityB16 && !math.IsInf(float64(v), 0) {
				return nil, tooLarge(i, v, dtype, "F32")
			}
			raw = le.AppendUint16(raw, b)
		}
	case Q8_0:
		return encodeQ8(raw, values)
	default:
		return nil, fmt.Errorf("float values are written as F32, F16, BF16 or Q8_0, not as %s", dtype)
	}
	return raw, nil
}

// encodeQ8 writes blocks of 32 values: a half-precision scale and 32 int8.
func encodeQ8(raw []byte, values []float32) ([]byte, error) {
	const block, largest = 32, 127
	if len(values)%block != 0 {
		return nil, fmt.Errorf("%d values are no whole blocks of %d of Q8_0", len(values), block)
	}
	for at := 0; at < len(values); at += block {
		part := values[at : at+block]
		peak := float32(0)
		for _, v := range part {
			peak = max(peak, float32(math.Abs(float64(v))))
		}
		scale, inverse := peak/largest, float32(0)
		if scale != 0 {
			inverse = 1 / scale
		}
		h := ToF16(scale)
		if h == 0x7c00 {
			return nil, tooLarge(at, peak, Q8_0, "F32")
		}
		raw = binary.LittleEndian.AppendUint16(raw, h)
		for _, v := range part {
			raw = append(raw, byte(int8(math.Round(float64(v*inverse)))))
		}
	}
	return raw, nil
}

func tooLarge(i int, v float32, dtype DType, better string) error {
	return fmt.Errorf("value %g (element %d of these) is too large for %s; write %s instead", v, i, dtype, better)
}
