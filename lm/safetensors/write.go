package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"

	"keyhole.example/keyhole/internal/atomicfile"
)

// Write creates or replaces a safetensors file, whole or not at all. The order
// of entries doesn't matter: equal tensors and metadata give equal bytes. Write
// fails on a name that stands there twice, on an entry that can't be stored
// (see Rows and Copy), and if the disk does; the error names file and tensor.
//
// transformers loads a file only with the metadata "format": "pt".
func Write(path string, entries []Entry, metadata map[string]string) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Encode(w, entries, metadata) })
}

// Encode writes the bytes of a safetensors file to w, as Write does.
func Encode(w io.Writer, entries []Entry, metadata map[string]string) error {
	// Larger elements first, so that each tensor is aligned to its elements.
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int {
		_, sizeA := a.dtype.Block()
		_, sizeB := b.dtype.Block()
		return cmp.Or(cmp.Compare(sizeB, sizeA), cmp.Compare(a.name, b.name))
	})
	text, sizes, err := headerText(entries, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text)))); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	for i, e := range entries {
		counted := &counter{w: w}
		if err := e.write(counted); err != nil {
			return fmt.Errorf("tensor %q: %w", e.name, err)
		}
		if counted.n != sizes[i] {
			return fmt.Errorf("tensor %q: %d bytes for the shape %v of %s, which takes %d", e.name, counted.n, e.shape, e.dtype, sizes[i])
		}
	}
	return nil
}

// headerText returns the JSON header, padded so that the data begin at a
// multiple of 8 bytes, and the sizes of the entries in bytes.
func headerText(entries []Entry, metadata map[string]string) (text []byte, sizes []int, err error) {
	var b bytes.Buffer
	b.WriteByte('{')
	if len(metadata) > 0 {
		for key, value := range metadata {
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return nil, nil, fmt.Errorf("metadata %q: key or value is not UTF-8", key)
			}
		}
		b.WriteString(quote(metadataKey) + ":")
		b.Write(marshal(metadata)) // in the order of keys
	}
	seen := make(map[string]bool, len(entries))
	end := 0
	for _, e := range entries {
		size, err := e.size()
		if err == nil && seen[e.name] {
			err = errors.New("the name stands there twice")
		}
		if err == nil && end+size < end {
			err = errors.New("the file would be larger than can be counted")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", e.name, err)
		}
		seen[e.name] = true
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(quote(e.name) + `:{"dtype":` + quote(e.dtype.String()) + `,"shape":`)
		writeInts(&b, e.shape)
		b.WriteString(`,"data_offsets":`)
		writeInts(&b, []int{end, end + size})
		b.WriteByte('}')
		end += size
		sizes = append(sizes, size)
	}
	b.WriteByte('}')
	for (prefixSize+b.Len())%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > headerLimit {
		return nil, nil, fmt.Errorf("the header has %d bytes, readers allow %d; write fewer tensors a file", b.Len(), headerLimit)
	}
	return b.Bytes(), sizes, nil
}

func writeInts(b *bytes.Buffer, list []int) {
	b.WriteByte('[')
	for i, n := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(n))
	}
	b.WriteByte(']')
}

// marshal encodes a value that JSON can hold for certain, without HTML escapes.
func marshal(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic("hf: marshal of a value that JSON can't hold: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func quote(s string) string { return string(marshal(s)) }

// counter counts what passes through.
type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += n
	return n, err
}
