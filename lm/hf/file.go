package hf

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"keyhole.example/keyhole/internal/mmap"
	"keyhole.example/keyhole/lm/tensorfile"
)

// The names that Hugging Face programs look for in a model's folder.
const (
	SingleName = "model.safetensors"
	IndexName  = "model.safetensors.index.json"
)

// ErrNoWeights says that a folder has no safetensors.
var ErrNoWeights = errors.New("no weights")

// File is an open safetensors file or the shards of a folder. It is safe for
// concurrent reading.
type File struct {
	path     string
	mapped   []*mmap.File
	names    []string
	tensors  map[string]*tensorfile.Tensor
	metadata map[string]string
}

// Open maps one safetensors file and reads its header. A fault in the file is a
// *tensorfile.FormatError; a file that can't be opened gives the system's error.
func Open(path string) (*File, error) {
	f := &File{path: path, tensors: map[string]*tensorfile.Tensor{}, metadata: map[string]string{}}
	if err := f.add(path, nil); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// OpenDir opens the weights of a model's folder: the shards if there is an
// index and no single file, else model.safetensors. Metadata of shards are
// joined, the first value of a key stays.
func OpenDir(dir string) (*File, error) {
	single := filepath.Join(dir, SingleName)
	if _, err := os.Stat(single); !errors.Is(err, fs.ErrNotExist) {
		f, err := Open(single)
		if err != nil {
			return nil, err
		}
		f.path = dir
		return f, nil
	}
	index := filepath.Join(dir, IndexName)
	if _, err := os.Stat(index); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: neither %s nor %s is there: %w", dir, ErrNoWeights, SingleName, IndexName, fs.ErrNotExist)
	}
	return openShards(dir, index)
}

// add opens one file and takes its tensors: all of them, or those of wanted,
// which must all be there.
func (f *File) add(path string, wanted []string) error {
	mapped, err := mmap.Open(path)
	if err != nil {
		return err
	}
	f.mapped = append(f.mapped, mapped)
	h, err := parse(path, mapped.Bytes())
	if err != nil {
		return err
	}
	for key, value := range h.metadata {
		if _, there := f.metadata[key]; !there {
			f.metadata[key] = value
		}
	}
	if wanted == nil {
		for _, t := range h.tensors {
			f.take(t)
		}
		return nil
	}
	pick := make(map[string]bool, len(wanted))
	for _, name := range wanted {
		pick[name] = true
	}
	for _, t := range h.tensors {
		if pick[t.Name] {
			f.take(t)
			delete(pick, t.Name)
		}
	}
	for _, name := range wanted {
		if pick[name] {
			return &tensorfile.FormatError{File: path, Offset: -1, Field: fmt.Sprintf("tensor %q", name),
				Err: fmt.Errorf("%s says it is in this file, but it isn't", IndexName)}
		}
	}
	return nil
}

func (f *File) take(t *tensorfile.Tensor) {
	f.names = append(f.names, t.Name)
	f.tensors[t.Name] = t
}

// Path is the file or folder that was opened.
func (f *File) Path() string { return f.path }

// Names lists the tensors in the order of their bytes, shard by shard.
func (f *File) Names() []string { return append([]string(nil), f.names...) }

// Tensor returns the named tensor, valid until Close.
func (f *File) Tensor(name string) (*tensorfile.Tensor, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// Metadata returns a copy of the file's __metadata__, texts by key.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Close gives the mapped memory back; tensors are invalid from then on.
func (f *File) Close() error {
	var errs []error
	for _, m := range f.mapped {
		errs = append(errs, m.Close())
	}
	f.mapped = nil
	return errors.Join(errs...)
}
