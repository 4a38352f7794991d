package gguf

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"keyhole.example/keyhole/lm/tensorfile"
)

const (
	magic            = "GGUF"
	maxRank          = 4
	defaultAlignment = 32

	// The fewest bytes that an entry takes, to judge counts by.
	minPair   = 8 + 4 + 1     // empty key, kind, one byte
	minTensor = 8 + 4 + 4 + 8 // empty name, rank 0, type, offset
)

// placed is a tensor's header entry: what it is and where its bytes begin, from
// the start of the data section.
type placed struct {
	tensor *tensorfile.Tensor
	offset uint64
	size   uint64
	entry  int // where in the file the entry stands, for messages
}

// parse reads a whole file. The tensors view data.
func parse(path string, data []byte) (*File, error) {
	c := &cursor{path: path, data: data}
	f := &File{path: path, values: map[string]any{}, tensors: map[string]*tensorfile.Tensor{}}
	f.version = c.header()
	tensors := c.count(minTensor, "tensor count")
	pairs := c.count(minPair, "metadata count")
	for range pairs {
		if c.pair(f); c.err != nil {
			return nil, c.err
		}
	}
	alignment := c.alignment(f)
	var all []placed
	for range tensors {
		p := c.tensor(f, alignment)
		if c.err != nil {
			return nil, c.err
		}
		all = append(all, p)
	}
	if c.place(all, alignment); c.err != nil {
		return nil, c.err
	}
	for _, p := range all { // now in the order of the data
		f.names = append(f.names, p.tensor.Name)
	}
	return f, nil
}

// header reads the magic number and the version.
func (c *cursor) header() int {
	if got := c.bytes(uint64(len(magic)), "magic number"); c.err == nil && string(got) != magic {
		c.fail(0, "magic number", fmt.Errorf("%q, want %q: this is no GGUF file", got, magic))
	}
	at := c.pos
	version := c.u32("version")
	if c.err != nil || version == 2 || version == 3 {
		return int(version)
	}
	err := fmt.Errorf("version %d is unknown, want 2 or 3", version)
	if swapped := bits.ReverseBytes32(version); swapped > 0 && swapped < 1<<16 && version > 1<<16 {
		err = fmt.Errorf("version %d with its bytes reversed: big-endian files are not supported", swapped)
	}
	c.fail(at, "version", err)
	return 0
}

// pair reads one key with its value into f.
func (c *cursor) pair(f *File) {
	at := c.pos
	key := c.name("metadata key")
	field := fmt.Sprintf("metadata %q", key)
	if _, twice := f.values[key]; twice {
		c.fail(at, field, errors.New("the key stands there twice"))
	}
	value := c.value(kind(c.u32(field)), field, 0)
	if c.err == nil {
		f.keys = append(f.keys, key)
		f.values[key] = value
	}
}

// alignment returns what every tensor's offset is a multiple of.
func (c *cursor) alignment(f *File) uint64 {
	const key = "general.alignment"
	value, ok := f.values[key]
	if !ok {
		return defaultAlignment
	}
	alignment, ok := value.(uint32)
	if !ok || bits.OnesCount32(alignment) != 1 {
		c.fail(-1, key, fmt.Errorf("%v (%T), want a power of two as uint32", value, value))
	}
	return uint64(alignment)
}

// tensor reads one entry of the tensor list and enters it in f, still without
// its bytes.
func (c *cursor) tensor(f *File, alignment uint64) placed {
	entry := c.pos
	name := c.name("tensor name")
	field := fmt.Sprintf("tensor %q", name)
	if _, twice := f.tensors[name]; twice {
		c.fail(entry, field, errors.New("the name stands there twice"))
	}
	at := c.pos
	rank := c.u32(field)
	if rank > maxRank {
		c.fail(at, field, fmt.Errorf("%d dimensions, at most %d are allowed", rank, maxRank))
		return placed{}
	}
	shape := make([]int, rank)
	for i := range shape {
		at := c.pos
		d := c.u64(field)
		if d > math.MaxInt {
			c.fail(at, field, fmt.Errorf("a dimension of %d is more than can be counted", d))
			return placed{}
		}
		shape[len(shape)-1-i] = int(d)
	}
	at = c.pos
	dtype, err := tensorType(c.u32(field))
	if err != nil {
		c.fail(at, field, err)
	}
	at = c.pos
	offset := c.u64(field)
	if c.err != nil {
		return placed{}
	}
	if offset%alignment != 0 {
		c.fail(at, field, fmt.Errorf("offset %d is no multiple of the alignment %d", offset, alignment))
	}
	size, err := byteSize(dtype, shape)
	if err != nil {
		c.fail(entry, field, err)
	}
	t := &tensorfile.Tensor{Name: name, DType: dtype, Shape: shape}
	f.tensors[name] = t
	return placed{tensor: t, offset: offset, size: size, entry: entry}
}

// byteSize returns what a tensor takes, every row a whole number of blocks.
func byteSize(dtype tensorfile.DType, shape []int) (uint64, error) {
	count, err := tensorfile.Count(shape)
	if err != nil {
		return 0, err
	}
	row := 1
	if len(shape) > 0 {
		row = shape[len(shape)-1]
	}
	if block, _ := dtype.Block(); row%block != 0 {
		return 0, fmt.Errorf("a row of %d values in type %s, whose blocks hold %d", row, dtype, block)
	}
	size, err := dtype.Bytes(count)
	return uint64(size), err
}

// place gives every tensor its bytes and sorts them by offset; none may reach
// past the end of the file or into another.
func (c *cursor) place(all []placed, alignment uint64) {
	if c.err != nil {
		return
	}
	start := (uint64(c.pos) + alignment - 1) / alignment * alignment
	var data []byte
	if start < uint64(len(c.data)) {
		data = c.data[start:]
	}
	have := uint64(len(data))
	slices.SortStableFunc(all, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.size, b.size))
	})
	var end uint64
	var last string
	for _, p := range all {
		field := fmt.Sprintf("tensor %q", p.tensor.Name)
		switch {
		case p.offset > have || p.size > have-p.offset:
			c.fail(p.entry, field, fmt.Errorf("%w: %d bytes at %d of the data section, which has %d", errEnds, p.size, p.offset, have))
			return
		case p.size > 0 && p.offset < end:
			c.fail(p.entry, field, fmt.Errorf("its bytes %d to %d overlap those of tensor %q", p.offset, p.offset+p.size-1, last))
			return
		}
		p.tensor.Raw = data[p.offset : p.offset+p.size : p.offset+p.size]
		if p.size > 0 {
			end, last = p.offset+p.size, p.tensor.Name
		}
	}
}
