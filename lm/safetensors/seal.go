package safetensors

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"

	"keyhole.example/keyhole/lm/tensorfile"
)

// SumKey is the metadata key of a sealed file's sum.
const SumKey = "keyhole.sha256"

// WriteSealed is Write with a sum in the metadata of all else that the file says:
// a SHA-256, in hexadecimal, of a line `"key":"value"` for each other key of the
// metadata, then for each tensor a line `"name" DTYPE shape` and its bytes; keys
// and names in order, quoted as in the header. File.CheckSeal checks it.
func WriteSealed(path string, entries []Entry, metadata map[string]string) error {
	h := sha256.New()
	sumMetadata(h, metadata)
	sorted := slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return cmp.Compare(a.name, b.name) })
	for _, e := range sorted {
		sumTensor(h, e.name, e.dtype, e.shape)
		if e.write == nil {
			continue // Write refuses it
		}
		if err := e.write(h); err != nil {
			return fmt.Errorf("write %s: tensor %q: %w", path, e.name, err)
		}
	}
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	metadata[SumKey] = hex.EncodeToString(h.Sum(nil))
	return Write(path, entries, metadata)
}

// CheckSeal reads the whole file and compares its sum. A file without one, which
// earlier versions write, is not sealed and no error. Another sum, or a key of the
// metadata that is none of keys, is a *tensorfile.FormatError.
func (f *File) CheckSeal(keys ...string) (sealed bool, err error) {
	for _, key := range slices.Sorted(maps.Keys(f.metadata)) {
		if key != SumKey && !slices.Contains(keys, key) {
			return false, &tensorfile.FormatError{File: f.Path(), Offset: -1, Field: "__metadata__", Err: fmt.Errorf("the key %q is unknown here: the file is damaged, or of a later version", key)}
		}
	}
	want, sealed := f.metadata[SumKey]
	if !sealed {
		return false, nil
	}
	h := sha256.New()
	sumMetadata(h, f.metadata)
	for _, name := range slices.Sorted(slices.Values(f.Names())) {
		t, _ := f.Tensor(name)
		sumTensor(h, name, t.DType, t.Shape)
		h.Write(t.Raw)
	}
	if hex.EncodeToString(h.Sum(nil)) != want {
		return true, &tensorfile.FormatError{File: f.Path(), Offset: -1, Field: SumKey, Err: errors.New("the content has another sum: the file is damaged or was changed")}
	}
	return true, nil
}

func sumMetadata(h hash.Hash, metadata map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if key != SumKey {
			io.WriteString(h, quote(key)+":"+quote(metadata[key])+"\n") // a hash never fails
		}
	}
}

func sumTensor(h hash.Hash, name string, dtype tensorfile.DType, shape []int) {
	fmt.Fprintf(h, "%s %s %v\n", quote(name), dtype, shape)
}
