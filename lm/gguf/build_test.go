package gguf

import (
	"encoding/binary"
	"math"
)

// builder writes a small GGUF file for a test; the zero builder is version 3
// with the usual alignment.
type builder struct {
	version uint32
	align   int
	pairs   [][]byte
	infos   [][]byte
	data    []byte
}

func u32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

func u64(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

func text(s string) []byte { return append(u64(uint64(len(s))), s...) }

func f32s(values ...float32) (raw []byte) {
	for _, v := range values {
		raw = append(raw, u32(math.Float32bits(v))...)
	}
	return raw
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// listOf is the value of an array: the kind of its elements, their number, bytes.
func listOf(k kind, n int, elements ...[]byte) []byte {
	return join(u32(uint32(k)), u64(uint64(n)), join(elements...))
}

func (b *builder) alignment() int {
	if b.align == 0 {
		return defaultAlignment
	}
	return b.align
}

// pair adds a metadata value.
func (b *builder) pair(key string, k kind, value []byte) *builder {
	b.pairs = append(b.pairs, join(text(key), u32(uint32(k)), value))
	return b
}

// info adds a tensor's entry alone. dims are in the order of the file.
func (b *builder) info(name string, number uint32, offset uint64, dims ...uint64) *builder {
	entry := join(text(name), u32(uint32(len(dims))))
	for _, d := range dims {
		entry = append(entry, u64(d)...)
	}
	b.infos = append(b.infos, join(entry, u32(number), u64(offset)))
	return b
}

// tensor adds a tensor with its bytes.
func (b *builder) tensor(name string, number uint32, raw []byte, dims ...uint64) *builder {
	b.pad(&b.data)
	b.info(name, number, uint64(len(b.data)), dims...)
	b.data = append(b.data, raw...)
	return b
}

func (b *builder) pad(to *[]byte) {
	for len(*to)%b.alignment() != 0 {
		*to = append(*to, 0)
	}
}

func (b *builder) bytes() []byte {
	version := b.version
	if version == 0 {
		version = 3
	}
	all := join([]byte(magic), u32(version), u64(uint64(len(b.infos))), u64(uint64(len(b.pairs))), join(b.pairs...), join(b.infos...))
	b.pad(&all)
	return append(all, b.data...)
}

// full is a file with every kind of value and several tensors.
func full() *builder {
	b := &builder{version: 3, align: 64}
	b.pair("general.alignment", kindU32, u32(64))
	b.pair("u8", kindU8, []byte{200}).pair("i8", kindI8, []byte{0x9c})
	b.pair("u16", kindU16, []byte{0x60, 0xea}).pair("i16", kindI16, []byte{0xd0, 0x8a})
	b.pair("u32", kindU32, u32(4e9)).pair("i32", kindI32, u32(math.MaxUint32))
	b.pair("u64", kindU64, u64(1<<63+1)).pair("i64", kindI64, u64(math.MaxUint64))
	b.pair("f32", kindF32, f32s(0.1)).pair("f64", kindF64, u64(math.Float64bits(0.1)))
	b.pair("bool", kindBool, []byte{1}).pair("text", kindString, text("Grüße"))
	b.pair("texts", kindArray, listOf(kindString, 3, text(""), text("a"), text("Ġb")))
	b.pair("u8s", kindArray, listOf(kindU8, 2, []byte{1, 2})).pair("i8s", kindArray, listOf(kindI8, 1, []byte{0xff}))
	b.pair("u16s", kindArray, listOf(kindU16, 1, []byte{1, 2})).pair("i16s", kindArray, listOf(kindI16, 1, []byte{0xff, 0xff}))
	b.pair("u32s", kindArray, listOf(kindU32, 1, u32(7))).pair("i32s", kindArray, listOf(kindI32, 2, u32(math.MaxUint32), u32(3)))
	b.pair("u64s", kindArray, listOf(kindU64, 1, u64(1<<63))).pair("i64s", kindArray, listOf(kindI64, 1, u64(5)))
	b.pair("f32s", kindArray, listOf(kindF32, 2, f32s(0.5, -1.25))).pair("f64s", kindArray, listOf(kindF64, 1, u64(math.Float64bits(0.1))))
	b.pair("bools", kindArray, listOf(kindBool, 2, []byte{1, 0})).pair("none", kindArray, listOf(kindString, 0))
	b.pair("nested", kindArray, listOf(kindArray, 2, listOf(kindU8, 2, []byte{1, 2}), listOf(kindString, 1, text("x"))))
	b.tensor("matrix", 0, f32s(1, 2, 3, 4, 5, 6), 3, 2)
	b.tensor("blocks", 2, join([]byte{0, 0x3c}, make([]byte, 16)), 32) // Q4_0, scale 1
	b.tensor("ints", 27, u64(9), 1)
	b.tensor("nothing", 0, nil, 0)
	b.tensor("scalar", 1, []byte{0, 0xc0})
	return b
}
