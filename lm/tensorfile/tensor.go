package tensorfile

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// File is an open file, or folder of files, of tensors.
type File interface {
	// Names lists the tensors in the order of their bytes in the file.
	Names() []string
	// Tensor returns the named tensor. It is valid until Close.
	Tensor(name string) (*Tensor, bool)
	// Close gives the mapped memory back. Tensors of the file, and slices that
	// share its memory (see Tensor.Mapped), must not be touched afterwards.
	Close() error
	// Path is what was opened.
	Path() string
}

// Tensor is one array of a file.
type Tensor struct {
	Name  string
	DType DType
	// Shape has the outermost dimension first, in every format: a matrix is
	// [rows, columns] with the elements of a row side by side.
	Shape []int
	// Raw is the stored form: a view into the mapped file, little-endian, not
	// to be written to.
	Raw []byte
}

// FormatError says where and how a file breaks its format.
type FormatError struct {
	File   string // path of the file at fault
	Offset int64  // byte at which the fault was seen; -1 if there is no one place
	Field  string // what was being read, such as "tensor blk.0.attn_q.weight"
	Err    error  // what is wrong with it
}

// Error names the file, the field, its place and the fault.
func (e *FormatError) Error() string {
	text := e.File
	if e.Field != "" {
		text += ": " + e.Field
	}
	if e.Offset >= 0 {
		text += fmt.Sprintf(" (byte %d)", e.Offset)
	}
	return fmt.Sprintf("%s: %v", text, e.Err)
}

// Unwrap returns the fault itself.
func (e *FormatError) Unwrap() error { return e.Err }

// Elements returns the number of elements, the product of Shape.
func (t *Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Rows returns the size of the first dimension, 1 for a tensor without any.
func (t *Tensor) Rows() int {
	if len(t.Shape) == 0 {
		return 1
	}
	return t.Shape[0]
}

// RowElements returns how many elements one index of the first dimension
// holds: the columns of a matrix, 1 for a vector.
func (t *Tensor) RowElements() int {
	n := 1
	for i := 1; i < len(t.Shape); i++ {
		n *= t.Shape[i]
	}
	return n
}

// Mapped reports whether Float32 returns the tensor's own bytes, without a
// copy: they are F32, aligned, and in the order of this machine.
func (t *Tensor) Mapped() bool {
	return t.DType == F32 && len(t.Raw) > 0 && hostIsLittleEndian() && aligned(t.Raw, 4)
}

// Float32 returns all elements, in the order of Shape. If Mapped, the slice
// shares the file's read-only memory: writing to it crashes the program, and
// it dies with the file's Close. Otherwise it is a new slice. It fails for
// integers and for a Raw that doesn't fit Shape.
func (t *Tensor) Float32() ([]float32, error) {
	if err := t.check(true); err != nil {
		return nil, err
	}
	if t.Mapped() {
		return mappedFloats(t.Raw), nil
	}
	dst := make([]float32, t.Elements())
	t.DType.decode(dst, t.Raw)
	return dst, nil
}

// DecodeRows writes rows row to row+n-1 of the first dimension to dst, which
// must have n × RowElements elements. It doesn't allocate and may be called
// from several goroutines at once. It fails if the rows don't exist, if dst
// has another length, for integers, and for a quantised vector cut inside a
// block.
func (t *Tensor) DecodeRows(dst []float32, row, n int) error {
	if err := t.check(true); err != nil {
		return err
	}
	width := t.RowElements()
	if row < 0 || n < 0 || row > t.Rows()-n {
		return fmt.Errorf("tensor %s: rows %d to %d asked for, it has %d", t.Name, row, row+n, t.Rows())
	}
	if len(dst) != n*width {
		return fmt.Errorf("tensor %s: %d rows of %d elements decoded to a slice of %d", t.Name, n, width, len(dst))
	}
	values, size := t.DType.Block()
	first, count := row*width, n*width
	if first%values != 0 || count%values != 0 {
		return fmt.Errorf("tensor %s: elements %d to %d of %s begin or end inside a block of %d",
			t.Name, first, first+count, t.DType, values)
	}
	t.DType.decode(dst, t.Raw[first/values*size:(first+count)/values*size])
	return nil
}

// Int64 returns the elements of an integer or BOOL tensor as a new slice. It
// fails for other types, for a U64 above the range of int64, and for a Raw that
// doesn't fit Shape.
func (t *Tensor) Int64() ([]int64, error) {
	if err := t.check(false); err != nil {
		return nil, err
	}
	dst := make([]int64, t.Elements())
	for i := range dst {
		switch le := binary.LittleEndian; t.DType {
		case I64:
			dst[i] = int64(le.Uint64(t.Raw[8*i:]))
		case U64:
			u := le.Uint64(t.Raw[8*i:])
			if u > math.MaxInt64 {
				return nil, fmt.Errorf("tensor %s: element %d is %d, more than an int64 holds", t.Name, i, u)
			}
			dst[i] = int64(u)
		case I32:
			dst[i] = int64(int32(le.Uint32(t.Raw[4*i:])))
		case U32:
			dst[i] = int64(le.Uint32(t.Raw[4*i:]))
		case I16:
			dst[i] = int64(int16(le.Uint16(t.Raw[2*i:])))
		case U16:
			dst[i] = int64(le.Uint16(t.Raw[2*i:]))
		case I8:
			dst[i] = int64(int8(t.Raw[i]))
		case U8, BOOL:
			dst[i] = int64(t.Raw[i])
		}
	}
	return dst, nil
}

// FirstNonFinite returns the index, in the order of Float32, of the first
// element that is NaN or infinite as a float32. Integers are always finite.
// It decodes piece by piece, so that memory stays small.
func (t *Tensor) FirstNonFinite() (index int, found bool, err error) {
	if !t.DType.IsFloat() {
		return 0, false, t.check(false)
	}
	if err := t.check(true); err != nil {
		return 0, false, err
	}
	const piece = 1 << 14 // a multiple of every block
	buf := make([]float32, min(piece, t.Elements()))
	values, size := t.DType.Block()
	for first := 0; first < t.Elements(); first += piece {
		n := min(piece, t.Elements()-first)
		t.DType.decode(buf[:n], t.Raw[first/values*size:(first+n)/values*size])
		for i, v := range buf[:n] {
			if math.Float32bits(v)&expMask32 == expMask32 {
				return first + i, true, nil
			}
		}
	}
	return 0, false, nil
}

// check compares the bytes at hand with the shape, so that decoding need not.
// Readers guarantee it; a Tensor put together by hand may be wrong.
func (t *Tensor) check(float bool) error {
	if t.DType.IsFloat() != float {
		want := "an integer type"
		if float {
			want = "a floating-point or quantised type"
		}
		return fmt.Errorf("tensor %s holds %s, want %s", t.Name, t.DType, want)
	}
	count, err := Count(t.Shape)
	if err != nil {
		return fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	want, err := t.DType.Bytes(count)
	if err != nil {
		return fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	if want != len(t.Raw) {
		return fmt.Errorf("tensor %s: shape %v of %s takes %d bytes, there are %d", t.Name, t.Shape, t.DType, want, len(t.Raw))
	}
	return nil
}

func hostIsLittleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

func aligned(b []byte, to uintptr) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))%to == 0
}

// mappedFloats views aligned little-endian bytes as float32 values.
func mappedFloats(raw []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(raw))), len(raw)/4)
}
