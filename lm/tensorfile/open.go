package tensorfile

import (
	"errors"
	"fmt"
	"slices"

	"keyhole.example/keyhole/internal/mmap"
)

// Opened is the tensors of mapped files: of one, or of the shards of a folder. It
// is a File for formats to build on, and safe for concurrent reading.
type Opened struct {
	path    string
	mapped  []*mmap.File
	names   []string
	tensors map[string]*Tensor
}

// NewOpened is a file without tensors yet; path is what it is called.
func NewOpened(path string) Opened {
	return Opened{path: path, tensors: map[string]*Tensor{}}
}

// Map maps a file until Close.
func (o *Opened) Map(path string) ([]byte, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	o.mapped = append(o.mapped, m)
	return m.Bytes(), nil
}

// Take takes tensors that were found in a mapped file: all of them, or those of
// wanted, which index, the name of a list of shards, says must be there; nil: all.
func (o *Opened) Take(path string, found []*Tensor, wanted []string, index string) error {
	missing := make(map[string]bool, len(wanted))
	for _, name := range wanted {
		missing[name] = true
	}
	for _, t := range found {
		if wanted != nil && !missing[t.Name] {
			continue
		}
		if _, twice := o.tensors[t.Name]; twice {
			return &FormatError{File: path, Offset: -1, Field: fmt.Sprintf("tensor %q", t.Name), Err: errors.New("is there twice")}
		}
		delete(missing, t.Name)
		o.names, o.tensors[t.Name] = append(o.names, t.Name), t
	}
	for _, name := range wanted {
		if missing[name] {
			return &FormatError{File: path, Offset: -1, Field: fmt.Sprintf("tensor %q", name),
				Err: fmt.Errorf("%s says it is in this file, but it isn't", index)}
		}
	}
	return nil
}

// Path implements File.
func (o *Opened) Path() string { return o.path }

// Names implements File; shards stand one behind the other.
func (o *Opened) Names() []string { return slices.Clone(o.names) }

// Tensor implements File.
func (o *Opened) Tensor(name string) (*Tensor, bool) {
	t, ok := o.tensors[name]
	return t, ok
}

// Close implements File.
func (o *Opened) Close() error {
	var errs []error
	for _, m := range o.mapped {
		errs = append(errs, m.Close())
	}
	o.mapped = nil
	return errors.Join(errs...)
}
