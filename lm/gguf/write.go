package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"keyhole.example/keyhole/lm/tensorfile"
)

// Entry is a tensor to be written.
type Entry struct {
	Name  string
	DType tensorfile.DType
	Shape []int // outermost dimension first
	Write func(w io.Writer) error
}

// Copy is a tensor of an open file, its bytes as they are.
func Copy(t *tensorfile.Tensor) Entry {
	return Entry{Name: t.Name, DType: t.DType, Shape: t.Shape, Write: func(w io.Writer) error {
		_, err := w.Write(t.Raw)
		return err
	}}
}

// Write writes a file of version 3 with the metadata of like, in their order,
// and the tensors in theirs, each written piece by piece.
func Write(to io.Writer, like *File, entries []Entry) error {
	w := &writer{out: bufio.NewWriterSize(to, 1<<20)}
	alignment := uint64(defaultAlignment)
	if v, ok := like.values["general.alignment"].(uint32); ok {
		alignment = uint64(v)
	}
	w.raw([]byte(magic))
	w.u32(3)
	w.u64(uint64(len(entries)))
	w.u64(uint64(len(like.keys)))
	for _, key := range like.keys {
		w.text(key)
		k, err := kindOf(like.values[key])
		if err != nil {
			return fmt.Errorf("metadata %q: %w", key, err)
		}
		w.u32(uint32(k))
		w.value(like.values[key])
	}
	sizes := make([]uint64, len(entries))
	offset := uint64(0)
	for i, e := range entries {
		number, err := typeNumber(e.DType)
		if err == nil {
			sizes[i], err = byteSize(e.DType, e.Shape)
		}
		if err != nil {
			return fmt.Errorf("tensor %q: %w", e.Name, err)
		}
		w.text(e.Name)
		w.u32(uint32(len(e.Shape)))
		for _, d := range slices.Backward(e.Shape) {
			w.u64(uint64(d))
		}
		w.u32(number)
		w.u64(offset)
		offset += (sizes[i] + alignment - 1) / alignment * alignment
	}
	w.pad(alignment)
	for i, e := range entries {
		before := w.n
		if w.err == nil {
			w.err = e.Write(w)
		}
		if w.err != nil {
			return fmt.Errorf("tensor %q: %w", e.Name, w.err)
		}
		if got := w.n - before; got != sizes[i] {
			return fmt.Errorf("tensor %q: %d bytes were written, its shape has %d", e.Name, got, sizes[i])
		}
		w.pad(alignment)
	}
	if w.err == nil {
		w.err = w.out.Flush()
	}
	return w.err
}

// writer counts what it writes and keeps the first error.
type writer struct {
	out *bufio.Writer
	n   uint64
	err error
}

// Write implements io.Writer.
func (w *writer) Write(b []byte) (int, error) {
	w.raw(b)
	return len(b), w.err
}

func (w *writer) raw(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
		w.n += uint64(len(b))
	}
}

func (w *writer) u32(v uint32) { w.raw(binary.LittleEndian.AppendUint32(nil, v)) }
func (w *writer) u64(v uint64) { w.raw(binary.LittleEndian.AppendUint64(nil, v)) }

func (w *writer) text(s string) {
	w.u64(uint64(len(s)))
	w.raw([]byte(s))
}

func (w *writer) pad(alignment uint64) {
	if rest := w.n % alignment; rest != 0 {
		w.raw(make([]byte, alignment-rest))
	}
}

// value writes a value whose kind is known.
func (w *writer) value(v any) {
	switch v := v.(type) {
	case string:
		w.text(v)
	case float32:
		w.u32(math.Float32bits(v))
	case float64:
		w.u64(math.Float64bits(v))
	case bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64:
		w.fixed(v)
	case []string:
		writeArray(w, kindString, v)
	case []bool:
		writeArray(w, kindBool, v)
	case []uint8:
		writeArray(w, kindU8, v)
	case []int8:
		writeArray(w, kindI8, v)
	case []uint16:
		writeArray(w, kindU16, v)
	case []int16:
		writeArray(w, kindI16, v)
	case []uint32:
		writeArray(w, kindU32, v)
	case []int32:
		writeArray(w, kindI32, v)
	case []uint64:
		writeArray(w, kindU64, v)
	case []int64:
		writeArray(w, kindI64, v)
	case []float32:
		writeArray(w, kindF32, v)
	case []float64:
		writeArray(w, kindF64, v)
	case []any:
		writeArray(w, kindArray, v)
	}
}

func (w *writer) fixed(v any) {
	if w.err == nil {
		w.err = binary.Write(w, binary.LittleEndian, v)
	}
}

func writeArray[T any](w *writer, k kind, list []T) {
	w.u32(uint32(k))
	w.u64(uint64(len(list)))
	for _, v := range list {
		w.value(v)
	}
}

// kindOf finds the kind of a value that File.Value gave.
func kindOf(v any) (kind, error) {
	switch v := v.(type) {
	case uint8:
		return kindU8, nil
	case int8:
		return kindI8, nil
	case uint16:
		return kindU16, nil
	case int16:
		return kindI16, nil
	case uint32:
		return kindU32, nil
	case int32:
		return kindI32, nil
	case float32:
		return kindF32, nil
	case bool:
		return kindBool, nil
	case string:
		return kindString, nil
	case uint64:
		return kindU64, nil
	case int64:
		return kindI64, nil
	case float64:
		return kindF64, nil
	case []any:
		for _, inner := range v {
			if k, err := kindOf(inner); err != nil || k != kindArray {
				return 0, errors.Join(errors.New("an array of something else than arrays"), err)
			}
		}
		return kindArray, nil
	case []uint8, []int8, []uint16, []int16, []uint32, []int32, []uint64, []int64, []float32, []float64, []bool, []string:
		return kindArray, nil
	}
	return 0, fmt.Errorf("a value of type %T", v)
}

// typeNumber is ggml's number of a tensor type.
func typeNumber(d tensorfile.DType) (uint32, error) {
	for number := range uint32(64) {
		if known, err := tensorType(number); err == nil && known == d {
			return number, nil
		}
	}
	return 0, fmt.Errorf("GGUF has no type %s", d)
}
