package gguf

import (
	"errors"
	"fmt"
	"math"
)

// ErrMissing is wrapped by the error for a key that the file doesn't have.
var ErrMissing = errors.New("no such key")

// Keys lists the metadata keys in the order of the file.
func (f *File) Keys() []string { return append([]string(nil), f.keys...) }

// Value returns a metadata value in the Go type of its kind: uint8, int8,
// uint16, int16, uint32, int32, uint64, int64, float32, float64, bool, string,
// a slice of one of these, or []any of slices for an array of arrays. Slices
// belong to f and must not be changed.
func (f *File) Value(key string) (any, bool) {
	v, ok := f.values[key]
	return v, ok
}

// Has reports whether the file has the key.
func (f *File) Has(key string) bool {
	_, ok := f.values[key]
	return ok
}

// Text returns a string value. Like all typed questions it fails with an
// error that names the file and the key, and wraps ErrMissing if there is none.
func (f *File) Text(key string) (string, error) { return get[string](f, key) }

// Bool returns a truth value.
func (f *File) Bool(key string) (bool, error) { return get[bool](f, key) }

// Strings returns an array of strings.
func (f *File) Strings(key string) ([]string, error) { return get[[]string](f, key) }

// Int returns an integer value of any kind that fits an int.
func (f *File) Int(key string) (int, error) {
	v, err := f.lookup(key)
	if err != nil {
		return 0, err
	}
	n, ok := toInt(v)
	if !ok {
		return 0, f.mismatch(key, v, "an integer")
	}
	return n, nil
}

// Float returns a floating-point value of either kind.
func (f *File) Float(key string) (float64, error) {
	v, err := f.lookup(key)
	if err != nil {
		return 0, err
	}
	switch v := v.(type) {
	case float32:
		return float64(v), nil
	case float64:
		return v, nil
	}
	return 0, f.mismatch(key, v, "a floating-point number")
}

// Ints returns an array of integers of any kind that fit an int.
func (f *File) Ints(key string) ([]int, error) {
	v, err := f.lookup(key)
	if err != nil {
		return nil, err
	}
	var ints []int
	ok := false
	switch v := v.(type) {
	case []uint8:
		ints, ok = toInts(v)
	case []int8:
		ints, ok = toInts(v)
	case []uint16:
		ints, ok = toInts(v)
	case []int16:
		ints, ok = toInts(v)
	case []uint32:
		ints, ok = toInts(v)
	case []int32:
		ints, ok = toInts(v)
	case []uint64:
		ints, ok = toInts(v)
	case []int64:
		ints, ok = toInts(v)
	}
	if !ok {
		return nil, f.mismatch(key, v, "an array of integers")
	}
	return ints, nil
}

// Floats returns an array of floating-point numbers of either kind.
func (f *File) Floats(key string) ([]float64, error) {
	v, err := f.lookup(key)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case []float64:
		return append([]float64(nil), v...), nil
	case []float32:
		floats := make([]float64, len(v))
		for i, x := range v {
			floats[i] = float64(x)
		}
		return floats, nil
	}
	return nil, f.mismatch(key, v, "an array of floating-point numbers")
}

func (f *File) lookup(key string) (any, error) {
	v, ok := f.values[key]
	if !ok {
		return nil, fmt.Errorf("%s: metadata %q: %w", f.path, key, ErrMissing)
	}
	return v, nil
}

func (f *File) mismatch(key string, v any, want string) error {
	return fmt.Errorf("%s: metadata %q is of type %T, want %s", f.path, key, v, want)
}

func get[T any](f *File, key string) (T, error) {
	var zero T
	v, err := f.lookup(key)
	if err != nil {
		return zero, err
	}
	typed, ok := v.(T)
	if !ok {
		return zero, f.mismatch(key, v, fmt.Sprintf("%T", zero))
	}
	return typed, nil
}

func toInt(v any) (int, bool) {
	switch v := v.(type) {
	case uint8:
		return int(v), true
	case int8:
		return int(v), true
	case uint16:
		return int(v), true
	case int16:
		return int(v), true
	case uint32:
		return int(v), uint64(v) <= math.MaxInt
	case int32:
		return int(v), true
	case uint64:
		return int(v), v <= math.MaxInt
	case int64:
		return int(v), int64(int(v)) == v
	}
	return 0, false
}

func toInts[T any](values []T) ([]int, bool) {
	ints := make([]int, len(values))
	for i, v := range values {
		n, ok := toInt(v)
		if !ok {
			return nil, false
		}
		ints[i] = n
	}
	return ints, true
}
