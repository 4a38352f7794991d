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

	"keyhole.example/keyhole/lm/tensorfile"
)

const (
	prefixSize  = 8           // the header's length, uint64
	headerLimit = 100_000_000 // bytes, as in the reference implementation
	rankLimit   = 64          // dimensions, as in PyTorch
	metadataKey = "__metadata__"
)

// header is what a file's JSON header says, the tensors in the order of their
// bytes and with them.
type header struct {
	metadata map[string]string
	tensors  []*tensorfile.Tensor
}

// entry is a tensor of the header with the place it claims in the data.
type entry struct {
	tensor     *tensorfile.Tensor
	begin, end int
}

// parse reads a whole file. The tensors view data.
func parse(path string, data []byte) (*header, error) {
	fail := func(offset int64, field string, err error) error {
		return &tensorfile.FormatError{File: path, Offset: offset, Field: field, Err: err}
	}
	if len(data) < prefixSize {
		return nil, fail(0, "header length", fmt.Errorf("the file has %d bytes, the length alone takes %d", len(data), prefixSize))
	}
	size, rest := binary.LittleEndian.Uint64(data), data[prefixSize:]
	if size > uint64(len(rest)) {
		return nil, fail(0, "header length", fmt.Errorf("%d bytes claimed, the file has %d more", size, len(rest)))
	}
	if size > headerLimit {
		return nil, fail(0, "header length", fmt.Errorf("%d bytes, at most %d are allowed", size, headerLimit))
	}
	text, body := rest[:size], rest[size:]
	if len(text) == 0 || text[0] != '{' {
		return nil, fail(prefixSize, "header", errors.New("doesn't begin with {: no safetensors file"))
	}
	if !utf8.Valid(text) {
		return nil, fail(prefixSize, "header", errors.New("not UTF-8"))
	}
	p := parser{json.NewDecoder(bytes.NewReader(text))}
	p.UseNumber()
	h, entries, field, err := p.header()
	if err != nil {
		return nil, fail(prefixSize+min(p.InputOffset(), int64(size)), field, err)
	}
	if field, err := place(entries, body); err != nil {
		return nil, fail(-1, field, err)
	}
	for _, e := range entries {
		h.tensors = append(h.tensors, e.tensor)
	}
	return h, nil
}

// parser walks the header token by token, because decoding into a map would
// hide names that stand there twice.
type parser struct{ *json.Decoder }

// header reads the object of tensors. The field belongs to the error.
func (p parser) header() (h *header, entries []entry, field string, err error) {
	h = &header{metadata: map[string]string{}}
	seen := map[string]bool{}
	err = p.object(func(name string) error {
		field = fmt.Sprintf("tensor %q", name)
		if seen[name] {
			return errors.New("the name stands there twice")
		}
		seen[name] = true
		if name == metadataKey {
			field = metadataKey
			if err := p.texts(h.metadata); err != nil {
				return err
			}
		} else {
			e, err := p.entry(name)
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		field = "header"
		return nil
	})
	if err != nil {
		return nil, nil, cmp.Or(field, "header"), err
	}
	if _, err := p.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, "header", errors.New("something follows the closing brace")
	}
	return h, entries, "", nil
}

// object reads an object, calling member with every key while the value is next.
func (p parser) object(member func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	for p.More() {
		token, err := p.token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return fmt.Errorf("%v where a key is wanted", token)
		}
		if err := member(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

func (p parser) token() (json.Token, error) {
	token, err := p.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("invalid JSON: %w", err)
	}
	return token, nil
}

func (p parser) delim(want json.Delim) error {
	token, err := p.token()
	if err == nil && token != want {
		err = fmt.Errorf("%v where %v is wanted", token, want)
	}
	return err
}

// texts reads an object of strings into dst.
func (p parser) texts(dst map[string]string) error {
	return p.object(func(key string) error {
		if _, twice := dst[key]; twice {
			return fmt.Errorf("key %q stands there twice", key)
		}
		token, err := p.token()
		if err != nil {
			return err
		}
		value, ok := token.(string)
		if !ok {
			return fmt.Errorf("key %q: %v is no string, and only strings are allowed", key, token)
		}
		dst[key] = value
		return nil
	})
}

// entry reads the description of one tensor. Unknown members are passed over,
// as the reference implementation does.
func (p parser) entry(name string) (entry, error) {
	e := entry{tensor: &tensorfile.Tensor{Name: name}}
	var offsets []int
	seen := map[string]bool{}
	err := p.object(func(key string) (err error) {
		if seen[key] {
			return fmt.Errorf("%s stands there twice", key)
		}
		seen[key] = true
		switch key {
		case "dtype":
			token, err := p.token()
			if err != nil {
				return err
			}
			text, ok := token.(string)
			if !ok {
				return fmt.Errorf("dtype %v is no string", token)
			}
			e.tensor.DType, err = dtypeNamed(text)
			return err
		case "shape":
			e.tensor.Shape, err = p.ints("shape", rankLimit)
			return err
		case "data_offsets":
			offsets, err = p.ints("data_offsets", 2)
			return err
		}
		var ignored json.RawMessage
		return p.Decode(&ignored)
	})
	if err != nil {
		return e, err
	}
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[key] {
			return e, fmt.Errorf("%s is missing", key)
		}
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return e, fmt.Errorf("data_offsets %v are no beginning and end", offsets)
	}
	e.begin, e.end = offsets[0], offsets[1]
	count, err := tensorfile.Count(e.tensor.Shape)
	if err != nil {
		return e, err
	}
	size, err := e.tensor.DType.Bytes(count)
	if err != nil {
		return e, err
	}
	if size != e.end-e.begin {
		return e, fmt.Errorf("shape %v of %s takes %d bytes, data_offsets %v give it %d", e.tensor.Shape, e.tensor.DType, size, offsets, e.end-e.begin)
	}
	return e, nil
}

// ints reads a list of whole numbers from 0 on, with at most limit of them.
func (p parser) ints(field string, limit int) ([]int, error) {
	if err := p.delim('['); err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	list := []int{}
	for p.More() {
		token, err := p.token()
		if err != nil {
			return nil, err
		}
		number, ok := token.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%s: %v is no number", field, token)
		}
		n, err := strconv.ParseUint(number.String(), 10, strconv.IntSize-1)
		if err != nil {
			return nil, fmt.Errorf("%s: %v is no whole number that can be counted with", field, number)
		}
		if len(list) == limit {
			return nil, fmt.Errorf("%s: more than %d numbers", field, limit)
		}
		list = append(list, int(n))
	}
	return list, p.delim(']')
}

// place sorts the entries by their bytes and hands these out. Together they
// must cover body without gap or overlap.
func place(entries []entry, body []byte) (field string, err error) {
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	end, last := 0, ""
	for _, e := range entries {
		field := fmt.Sprintf("tensor %q", e.tensor.Name)
		switch {
		case e.end > len(body):
			return field, fmt.Errorf("its data end at byte %d, there are %d", e.end, len(body))
		case e.begin < end:
			return field, fmt.Errorf("its data begin at byte %d, inside those of tensor %q, which end at %d", e.begin, last, end)
		case e.begin > end:
			return field, fmt.Errorf("its data begin at byte %d, and the bytes from %d on belong to no tensor", e.begin, end)
		}
		e.tensor.Raw = body[e.begin:e.end:e.end]
		end, last = e.end, e.tensor.Name
	}
	if end != len(body) {
		return "data", fmt.Errorf("%d bytes follow the last tensor", len(body)-end)
	}
	return "", nil
}
