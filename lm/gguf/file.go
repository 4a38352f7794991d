package gguf

import (
	"keyhole.example/keyhole/internal/mmap"
	"keyhole.example/keyhole/lm/tensorfile"
)

// File is an open GGUF file. It is safe for concurrent reading.
type File struct {
	path    string
	mapped  *mmap.File
	version int
	keys    []string
	values  map[string]any
	names   []string
	tensors map[string]*tensorfile.Tensor
}

// Open maps the file and reads its header. A fault in the file is a
// *tensorfile.FormatError; a file that can't be opened gives the system's error.
func Open(path string) (*File, error) {
	mapped, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := parse(path, mapped.Bytes())
	if err != nil {
		_ = mapped.Close() // the fault found matters more
		return nil, err
	}
	f.mapped = mapped
	return f, nil
}

// Path is the path that was opened.
func (f *File) Path() string { return f.path }

// Version is the format's version, 2 or 3.
func (f *File) Version() int { return f.version }

// Names lists the tensors in the order of their bytes in the file.
func (f *File) Names() []string { return append([]string(nil), f.names...) }

// Tensor returns the named tensor, its shape outermost dimension first (the
// file has it the other way round). It is valid until Close.
func (f *File) Tensor(name string) (*tensorfile.Tensor, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// Close gives the mapped memory back; tensors are invalid from then on, metadata
// stays.
func (f *File) Close() error {
	if f.mapped == nil {
		return nil
	}
	return f.mapped.Close()
}
