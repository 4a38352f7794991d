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

	"keyhole.example/keyhole/lm/safetensors"
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
type File struct{ tensorfile.Opened }

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
	f := &File{tensorfile.NewOpened(dir)}
	shards := map[string][]string{SingleName: nil}
	if _, err := os.Stat(filepath.Join(dir, SingleName)); errors.Is(err, fs.ErrNotExist) {
		if shards, err = safetensors.ReadIndex(filepath.Join(dir, IndexName)); err != nil {
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
	data, err := f.Map(path)
	if err != nil {
		return err
	}
	found, err := parse(path, data)
	if err != nil {
		return err
	}
	return f.Take(path, found, wanted, IndexName)
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
