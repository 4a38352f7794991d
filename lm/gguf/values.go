package gguf

import "fmt"

// kind is the type of a metadata value.
type kind uint32

const (
	kindU8 kind = iota
	kindI8
	kindU16
	kindI16
	kindU32
	kindI32
	kindF32
	kindBool
	kindString
	kindArray
	kindU64
	kindI64
	kindF64
)

// maxDepth bounds how deep arrays may lie in arrays. Known files have one
// level; the bound keeps hostile ones from growing the stack.
const maxDepth = 16

// value reads one value; depth counts the arrays around it.
func (c *cursor) value(k kind, field string, depth int) any {
	switch k {
	case kindU8:
		return c.u8(field)
	case kindI8:
		return int8(c.u8(field))
	case kindU16:
		return c.u16(field)
	case kindI16:
		return int16(c.u16(field))
	case kindU32:
		return c.u32(field)
	case kindI32:
		return int32(c.u32(field))
	case kindF32:
		return c.f32(field)
	case kindBool:
		return c.bool(field)
	case kindString:
		return c.string(field)
	case kindArray:
		return c.array(field, depth+1)
	case kindU64:
		return c.u64(field)
	case kindI64:
		return int64(c.u64(field))
	case kindF64:
		return c.f64(field)
	}
	c.fail(c.pos-4, field, fmt.Errorf("unknown value kind %d, want 0 to %d", k, kindF64))
	return nil
}

// array reads a kind, a length and the elements: a slice of the Go type of the
// kind, []any for an array of arrays.
func (c *cursor) array(field string, depth int) any {
	if depth > maxDepth {
		c.fail(c.pos, field, fmt.Errorf("arrays lie more than %d deep in each other", maxDepth))
		return nil
	}
	switch k := kind(c.u32(field)); k {
	case kindU8:
		return list(c, 1, field, c.u8)
	case kindI8:
		return list(c, 1, field, func(f string) int8 { return int8(c.u8(f)) })
	case kindU16:
		return list(c, 2, field, c.u16)
	case kindI16:
		return list(c, 2, field, func(f string) int16 { return int16(c.u16(f)) })
	case kindU32:
		return list(c, 4, field, c.u32)
	case kindI32:
		return list(c, 4, field, func(f string) int32 { return int32(c.u32(f)) })
	case kindF32:
		return list(c, 4, field, c.f32)
	case kindBool:
		return list(c, 1, field, c.bool)
	case kindString:
		return c.strings(field)
	case kindArray:
		const smallest = 4 + 8 // a kind and a length
		return list(c, smallest, field, func(f string) any { return c.array(f, depth+1) })
	case kindU64:
		return list(c, 8, field, c.u64)
	case kindI64:
		return list(c, 8, field, func(f string) int64 { return int64(c.u64(f)) })
	case kindF64:
		return list(c, 8, field, c.f64)
	default:
		c.fail(c.pos-4, field, fmt.Errorf("array of unknown value kind %d, want 0 to %d", k, kindF64))
		return nil
	}
}

// list reads a length and that many elements of size or more bytes.
func list[T any](c *cursor, size uint64, field string, element func(field string) T) []T {
	values := make([]T, c.count(size, field))
	for i := range values {
		values[i] = element(field)
		if c.err != nil {
			return nil
		}
	}
	return values
}

// strings reads an array of strings. They share one copy of their bytes: a
// vocabulary has a hundred thousand of them.
func (c *cursor) strings(field string) []string {
	const smallest = 8 // a length
	n := c.count(smallest, field)
	start := c.pos
	for range n {
		c.bytes(c.u64(field), field)
		if c.err != nil {
			return nil
		}
	}
	all := string(c.data[start:c.pos])
	walk := cursor{data: c.data[:c.pos], pos: start}
	values := make([]string, n)
	for i := range values {
		length := int(walk.u64(field))
		values[i] = all[walk.pos-start : walk.pos-start+length]
		walk.pos += length
	}
	return values
}
