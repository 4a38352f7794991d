package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"keyhole.example/keyhole/lm/tensorfile"
)

var errEnds = errors.New("the file ends too early")

// cursor reads forward through a file. The first error stays, and every read
// after it returns zero values.
type cursor struct {
	path string
	data []byte
	pos  int
	err  error
}

// fail keeps the first error, at the given byte of the file.
func (c *cursor) fail(at int, field string, err error) {
	if c.err == nil {
		c.err = &tensorfile.FormatError{File: c.path, Offset: int64(at), Field: field, Err: err}
	}
}

func (c *cursor) left() int { return len(c.data) - c.pos }

// bytes returns the next n bytes, a view into the file.
func (c *cursor) bytes(n uint64, field string) []byte {
	if c.err != nil {
		return nil
	}
	if n > uint64(c.left()) {
		c.fail(c.pos, field, fmt.Errorf("%w: %d bytes wanted, %d left", errEnds, n, c.left()))
		return nil
	}
	b := c.data[c.pos : c.pos+int(n)]
	c.pos += int(n)
	return b
}

func (c *cursor) u8(field string) uint8 {
	if b := c.bytes(1, field); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16(field string) uint16 {
	if b := c.bytes(2, field); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32(field string) uint32 {
	if b := c.bytes(4, field); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64(field string) uint64 {
	if b := c.bytes(8, field); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) f32(field string) float32 { return math.Float32frombits(c.u32(field)) }

func (c *cursor) f64(field string) float64 { return math.Float64frombits(c.u64(field)) }

func (c *cursor) bool(field string) bool {
	at := c.pos
	v := c.u8(field)
	if v > 1 {
		c.fail(at, field, fmt.Errorf("%d is no truth value, want 0 or 1", v))
	}
	return v == 1
}

// string reads a string as a copy, which outlives the mapping.
func (c *cursor) string(field string) string {
	return string(c.bytes(c.u64(field), field))
}

// name reads a string that is a key or a tensor's name: UTF-8, so that it can
// stand in messages, and not longer than the specification allows a key.
func (c *cursor) name(field string) string {
	at := c.pos
	name := c.bytes(c.u64(field), field)
	const limit = 1<<16 - 1
	switch {
	case len(name) > limit:
		c.fail(at, field, fmt.Errorf("a name of %d bytes, more than %d", len(name), limit))
		return ""
	case !utf8.Valid(name):
		c.fail(at, field, errors.New("a name that is not UTF-8"))
		return ""
	}
	return string(name)
}

// count reads the number of things that take at least size bytes each, and
// refuses one that can't fit into the rest of the file.
func (c *cursor) count(size uint64, field string) int {
	at := c.pos
	n := c.u64(field)
	if c.err == nil && n > uint64(c.left())/size {
		c.fail(at, field, fmt.Errorf("%w: %d entries of %d or more bytes claimed, %d bytes left", errEnds, n, size, c.left()))
	}
	if c.err != nil {
		return 0
	}
	return int(n)
}
