package torchfile

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/internal/mmap"
	"keyhole.example/keyhole/lm/hf"
	"keyhole.example/keyhole/lm/tensorfile"
)

// The names that Hugging Face programs give to such files.
const (
	SingleName = "pytorch_model.bin"
	IndexName  = "pytorch_model.bin.index.json"
)

// wayOut is what to do about a file that isn't read here.
const wayOut = `convert it where PyTorch is: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(OUT, safe_serialization=True)`

// largestPickle bounds the program of one file; that of a model of a thousand
// layers has a few megabytes.
const largestPickle = 64 << 20

// File is an open file or the shards of a folder. It is safe for concurrent
// reading.
type File struct {
	path    string
	mapped  []*mmap.File
	names   []string
	tensors map[string]*tensorfile.Tensor
}

// There says whether a folder has weights in this format.
func There(dir string) bool {
	for _, name := range []string{SingleName, IndexName} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// OpenDir opens the weights of a model's folder: the one file, else the shards
// that the index names.
func OpenDir(dir string) (*File, error) {
	f := &File{path: dir, tensors: map[string]*tensorfile.Tensor{}}
	shards := map[string][]string{SingleName: nil}
	if _, err := os.Stat(filepath.Join(dir, SingleName)); errors.Is(err, fs.ErrNotExist) {
		if shards, err = hf.ReadIndex(filepath.Join(dir, IndexName)); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shards)) {
		if err := f.add(filepath.Join(dir, name), shards[name]); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// add maps one file and takes its tensors: all of them, or those of wanted,
// which must all be there.
func (f *File) add(path string, wanted []string) error {
	mapped, err := mmap.Open(path)
	if err != nil {
		return err
	}
	f.mapped = append(f.mapped, mapped)
	found, err := parse(path, mapped.Bytes())
	if err != nil {
		return err
	}
	want, have := map[string]bool{}, map[string]bool{}
	for _, name := range wanted {
		want[name] = true
	}
	for _, t := range found {
		if wanted != nil && !want[t.Name] {
			continue
		}
		if _, twice := f.tensors[t.Name]; twice {
			return fault(path, fmt.Sprintf("tensor %q", t.Name), errors.New("is there twice"))
		}
		have[t.Name] = true
		f.names = append(f.names, t.Name)
		f.tensors[t.Name] = t
	}
	for _, name := range wanted {
		if !have[name] {
			return fault(path, fmt.Sprintf("tensor %q", name), fmt.Errorf("%s says it is in this file, but it isn't", IndexName))
		}
	}
	return nil
}

func fault(path, field string, err error) error {
	return &tensorfile.FormatError{File: path, Offset: -1, Field: field, Err: err}
}

// parse reads a whole file. The tensors view data.
func parse(path string, data []byte) ([]*tensorfile.Tensor, error) {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fault(path, "", fmt.Errorf("no file of torch.save since PyTorch 1.6 (%w); %s", err, wayOut))
	}
	a := &storages{data: data, files: make(map[string]*zip.File, len(archive.File))}
	var program *zip.File
	for _, z := range archive.File {
		folder, rest, ok := strings.Cut(z.Name, "/")
		if ok && rest == "data.pkl" && program == nil {
			program, a.folder = z, folder
		}
		a.files[z.Name] = z
	}
	if program == nil {
		return nil, fault(path, "", fmt.Errorf("a zip without data.pkl, which torch.save writes; %s", wayOut))
	}
	if order, ok := a.files[a.folder+"/byteorder"]; ok {
		text, err := read(order, 16)
		if err != nil || strings.TrimSpace(string(text)) != "little" {
			return nil, fault(path, "byteorder", fmt.Errorf("%q is not little (%v); %s", text, err, wayOut))
		}
	}
	code, err := read(program, largestPickle)
	if err != nil {
		return nil, fault(path, program.Name, err)
	}
	top, err := run(code)
	if err != nil {
		return nil, fault(path, program.Name, fmt.Errorf("%w; %s", err, wayOut))
	}
	named, err := stateDict(top)
	if err != nil {
		return nil, fault(path, program.Name, fmt.Errorf("%w; %s", err, wayOut))
	}
	out := make([]*tensorfile.Tensor, 0, len(named))
	for _, n := range named {
		t, err := a.view(n.name, n.view)
		if err != nil {
			return nil, fault(path, fmt.Sprintf("tensor %q", n.name), err)
		}
		out = append(out, t)
	}
	return out, nil
}

// read returns the content of a member of the archive of at most limit bytes.
func read(z *zip.File, limit uint64) ([]byte, error) {
	if z.UncompressedSize64 > limit {
		return nil, fmt.Errorf("%d bytes, more than %d", z.UncompressedSize64, limit)
	}
	r, err := z.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, int64(limit)))
}

// Path is the folder that was opened.
func (f *File) Path() string { return f.path }

// Names lists the tensors in the order of the file, shard by shard.
func (f *File) Names() []string { return slices.Clone(f.names) }

// Tensor returns the named tensor, valid until Close.
func (f *File) Tensor(name string) (*tensorfile.Tensor, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// Close gives the mapped memory back; tensors are invalid from then on.
func (f *File) Close() error {
	var errs []error
	for _, m := range f.mapped {
		errs = append(errs, m.Close())
	}
	f.mapped = nil
	return errors.Join(errs...)
}
