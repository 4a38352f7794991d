package tensorfile

import "fmt"

// DType is the type of a tensor's elements as they are stored.
type DType int

// The element types. The names are those of safetensors and of ggml; the zero
// DType is none of them.
const (
	F32 DType = iota + 1
	F16
	BF16
	F64
	I64
	I32
	I16
	I8
	U64
	U32
	U16
	U8
	BOOL

	// Quantised in blocks of 32 values.
	Q8_0
	Q4_0
	Q4_1
	Q5_0
	Q5_1
	IQ4_NL

	// Quantised in blocks of 256 values.
	Q2_K
	Q3_K
	Q4_K
	Q5_K
	Q6_K
	IQ4_XS
	TQ1_0
	TQ2_0
)

// layout is what is fixed by an element type: its name and how many values
// share how many bytes.
type layout struct {
	name          string
	values, bytes int
	float         bool // decodes to float32
}

// layout has one line for each type, the only place that lists them all. It is
// the zero layout for a number that is no DType.
func (d DType) layout() layout {
	switch d {
	case F32:
		return layout{"F32", 1, 4, true}
	case F16:
		return layout{"F16", 1, 2, true}
	case BF16:
		return layout{"BF16", 1, 2, true}
	case F64:
		return layout{"F64", 1, 8, true}
	case I64:
		return layout{"I64", 1, 8, false}
	case I32:
		return layout{"I32", 1, 4, false}
	case I16:
		return layout{"I16", 1, 2, false}
	case I8:
		return layout{"I8", 1, 1, false}
	case U64:
		return layout{"U64", 1, 8, false}
	case U32:
		return layout{"U32", 1, 4, false}
	case U16:
		return layout{"U16", 1, 2, false}
	case U8:
		return layout{"U8", 1, 1, false}
	case BOOL:
		return layout{"BOOL", 1, 1, false}
	case Q8_0:
		return layout{"Q8_0", 32, 34, true}
	case Q4_0:
		return layout{"Q4_0", 32, 18, true}
	case Q4_1:
		return layout{"Q4_1", 32, 20, true}
	case Q5_0:
		return layout{"Q5_0", 32, 22, true}
	case Q5_1:
		return layout{"Q5_1", 32, 24, true}
	case IQ4_NL:
		return layout{"IQ4_NL", 32, 18, true}
	case Q2_K:
		return layout{"Q2_K", 256, 84, true}
	case Q3_K:
		return layout{"Q3_K", 256, 110, true}
	case Q4_K:
		return layout{"Q4_K", 256, 144, true}
	case Q5_K:
		return layout{"Q5_K", 256, 176, true}
	case Q6_K:
		return layout{"Q6_K", 256, 210, true}
	case IQ4_XS:
		return layout{"IQ4_XS", 256, 136, true}
	case TQ1_0:
		return layout{"TQ1_0", 256, 54, true}
	case TQ2_0:
		return layout{"TQ2_0", 256, 66, true}
	}
	return layout{}
}

// String returns the name, such as "F32" or "Q4_K".
func (d DType) String() string {
	if l := d.layout(); l.name != "" {
		return l.name
	}
	return fmt.Sprintf("DType(%d)", int(d))
}

// Block returns how many values are stored together in how many bytes: (1, 4)
// for F32, (32, 18) for Q4_0. Both are 0 if d is no known type.
func (d DType) Block() (values, bytes int) {
	l := d.layout()
	return l.values, l.bytes
}

// IsFloat reports whether elements of this type decode to float32: all
// floating-point and quantised types do, integers and BOOL don't.
func (d DType) IsFloat() bool { return d.layout().float }

// Quantised reports whether values are stored in blocks with shared scales.
func (d DType) Quantised() bool { return d.layout().values > 1 }

// Bytes returns how many bytes n elements take. It fails if d is no known type,
// n is negative or no whole number of blocks, or the count overflows an int.
func (d DType) Bytes(n int) (int, error) {
	values, size := d.Block()
	switch {
	case values == 0:
		return 0, fmt.Errorf("unknown element type %d", int(d))
	case n < 0:
		return 0, fmt.Errorf("%d elements", n)
	case n%values != 0:
		return 0, fmt.Errorf("%d elements of %s are no whole number of blocks of %d", n, d, values)
	case n/values > maxInt/size:
		return 0, fmt.Errorf("%d elements of %s take more bytes than can be counted", n, d)
	}
	return n / values * size, nil
}

const maxInt = int(^uint(0) >> 1)

// Count returns the number of elements of a shape: the product, 1 for an empty
// shape. It fails on a negative dimension and if the product of the dimensions
// other than 0 overflows an int, so that products of any part of an accepted
// shape are safe.
func Count(shape []int) (int, error) {
	product, empty := 1, false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, fmt.Errorf("shape %v has the negative dimension %d", shape, d)
		case d == 0:
			empty = true
		case product > maxInt/d:
			return 0, fmt.Errorf("shape %v has more elements than can be counted", shape)
		default:
			product *= d
		}
	}
	if empty {
		return 0, nil
	}
	return product, nil
}
