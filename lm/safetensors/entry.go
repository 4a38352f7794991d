package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"keyhole.example/keyhole/lm/tensorfile"
)

// Entry is a tensor to be written: what the header says of it, and a way to
// get at its bytes piece by piece. Make one with Floats, Rows, Convert, Copy,
// Ints or Doubles.
type Entry struct {
	name  string
	dtype tensorfile.DType
	shape []int
	write func(w io.Writer) error
}

// Name returns the tensor's name.
func (e Entry) Name() string { return e.name }

// pieceElements is about how many elements are converted at a time. It is a
// multiple of every quantised block, so that vectors are never cut inside one.
const pieceElements = 1 << 16

// Rows is a tensor whose float values come from decode, called for rising rows
// of the first dimension like tensorfile.Tensor.DecodeRows, and are written as
// dtype: F32, F16 or BF16, rounded to nearest, ties to even. A finite value too
// large for dtype is an error when it is written.
func Rows(name string, shape []int, dtype tensorfile.DType, decode func(dst []float32, row, n int) error) Entry {
	e := Entry{name: name, dtype: dtype, shape: slices.Clone(shape)}
	e.write = func(w io.Writer) error {
		t := tensorfile.Tensor{Shape: e.shape}
		if t.Elements() == 0 {
			return nil
		}
		rows, width := t.Rows(), t.RowElements()
		step := min(rows, max(1, pieceElements/width))
		values := make([]float32, step*width)
		raw := make([]byte, 0, 4*len(values))
		for row := 0; row < rows; row += step {
			n := min(step, rows-row)
			if err := decode(values[:n*width], row, n); err != nil {
				return err
			}
			var err error
			if raw, err = tensorfile.Encode(raw[:0], values[:n*width], dtype); err != nil {
				return fmt.Errorf("rows %d to %d: %w", row, row+n-1, err)
			}
			if _, err := w.Write(raw); err != nil {
				return err
			}
		}
		return nil
	}
	return e
}

// Floats is a tensor in memory, values in the order of shape, written as dtype
// like Rows. The values are read when it is written.
func Floats(name string, shape []int, values []float32, dtype tensorfile.DType) Entry {
	t := tensorfile.Tensor{Shape: shape}
	width := t.RowElements()
	e := Rows(name, shape, dtype, func(dst []float32, row, _ int) error {
		copy(dst, values[row*width:])
		return nil
	})
	return checked(e, len(values))
}

// Convert is a tensor of an open file, decoded and written as dtype like Rows;
// its bytes are copied if they have that type already.
func Convert(t *tensorfile.Tensor, dtype tensorfile.DType) Entry {
	if t.DType == dtype {
		return Copy(t)
	}
	return Rows(t.Name, t.Shape, dtype, t.DecodeRows)
}

// Copy is a tensor of an open file, its bytes written as they are. Quantised
// types have no place in safetensors and are refused when it is written.
func Copy(t *tensorfile.Tensor) Entry {
	e := Entry{name: t.Name, dtype: t.DType, shape: slices.Clone(t.Shape)}
	e.write = func(w io.Writer) error {
		_, err := w.Write(t.Raw)
		return err
	}
	return e
}

// Ints is a tensor of 64-bit integers (I64) in memory.
func Ints(name string, shape []int, values []int64) Entry {
	return words(name, tensorfile.I64, shape, values, func(v int64) uint64 { return uint64(v) })
}

// Doubles is a tensor of 64-bit floats (F64) in memory. The values are read when it
// is written.
func Doubles(name string, shape []int, values []float64) Entry {
	return words(name, tensorfile.F64, shape, values, math.Float64bits)
}

// words is a tensor of 64 bits for each of values.
func words[T any](name string, dtype tensorfile.DType, shape []int, values []T, bits func(T) uint64) Entry {
	e := Entry{name: name, dtype: dtype, shape: slices.Clone(shape)}
	e.write = func(w io.Writer) error {
		raw := make([]byte, 0, 8*min(len(values), pieceElements))
		for piece := range slices.Chunk(values, pieceElements) {
			raw = raw[:0]
			for _, v := range piece {
				raw = binary.LittleEndian.AppendUint64(raw, bits(v))
			}
			if _, err := w.Write(raw); err != nil {
				return err
			}
		}
		return nil
	}
	return checked(e, len(values))
}

// checked makes writing e fail if there are not as many values as its shape
// says.
func checked(e Entry, have int) Entry {
	write := e.write
	e.write = func(w io.Writer) error {
		if want, err := tensorfile.Count(e.shape); err != nil || want != have {
			return fmt.Errorf("shape %v wants %d values, there are %d", e.shape, want, have)
		}
		return write(w)
	}
	return e
}

// size checks what the header will say and returns the number of bytes.
func (e Entry) size() (int, error) {
	switch {
	case e.write == nil:
		return 0, errors.New("an entry without content")
	case !utf8.ValidString(e.name):
		return 0, errors.New("the name is not UTF-8")
	case e.name == metadataKey:
		return 0, errors.New("the name is reserved for metadata")
	case !writable(e.dtype):
		return 0, fmt.Errorf("safetensors has no type %s; write it as F32, F16 or BF16", e.dtype)
	case len(e.shape) > rankLimit:
		return 0, fmt.Errorf("%d dimensions, more than %d", len(e.shape), rankLimit)
	}
	count, err := tensorfile.Count(e.shape)
	if err != nil {
		return 0, err
	}
	return e.dtype.Bytes(count)
}
