package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

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
	tensorfile.Opened
	metadata map[string]string
}

// Open maps one safetensors file and reads its header. A fault in the file is a
// *tensorfile.FormatError; a file that can't be opened gives the system's error.
func Open(path string) (*File, error) { return openOne(path, path) }

// openOne opens one file by the name that it shall have.
func openOne(name, path string) (*File, error) {
	f := newFile(name)
	if err := f.add(path, nil); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func newFile(name string) *File {
	return &File{Opened: tensorfile.NewOpened(name), metadata: map[string]string{}}
}

// OpenDir opens the weights of a model's folder: the shards if there is an
// index and no single file, else model.safetensors. Metadata of shards are
// joined, the first value of a key stays.
func OpenDir(dir string) (*File, error) {
	single := filepath.Join(dir, SingleName)
	if _, err := os.Stat(single); !errors.Is(err, fs.ErrNotExist) {
		return openOne(dir, single)
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
	text, err := f.Map(path)
	if err != nil {
		return err
	}
	h, err := parse(path, text)
	if err != nil {
		return err
	}
	for key, value := range h.metadata {
		if _, there := f.metadata[key]; !there {
			f.metadata[key] = value
		}
	}
	return f.Take(path, h.tensors, wanted, IndexName)
}

// Metadata returns a copy of the file's __metadata__, texts by key.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }
