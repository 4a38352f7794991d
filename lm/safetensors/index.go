package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"keyhole.example/keyhole/internal/mmap"
	"keyhole.example/keyhole/lm/tensorfile"
)

// openShards opens the files that the index names, in the order of their names.
func openShards(dir, index string) (*File, error) {
	shards, err := ReadIndex(index)
	if err != nil {
		return nil, err
	}
	f := newFile(dir)
	for _, shard := range slices.Sorted(maps.Keys(shards)) {
		err := f.add(filepath.Join(dir, shard), shards[shard])
		if errors.Is(err, fs.ErrNotExist) {
			err = &tensorfile.FormatError{File: index, Offset: -1, Field: fmt.Sprintf("weight_map, file %q", shard),
				Err: fmt.Errorf("the shard is missing: %w", err)}
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// ReadIndex reads an index of shards: the tensors that each file is said to
// hold. Files are plain names, which lead out of no folder.
func ReadIndex(path string) (shards map[string][]string, err error) {
	mapped, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	defer mapped.Close()
	text := mapped.Bytes()
	fail := func(field string, err error) error {
		return &tensorfile.FormatError{File: path, Offset: -1, Field: field, Err: err}
	}
	if !utf8.Valid(text) {
		return nil, fail("", errors.New("not UTF-8"))
	}
	weights := map[string]string{}
	p := parser{json.NewDecoder(bytes.NewReader(text))}
	found := false
	err = p.object(func(key string) error {
		if key != "weight_map" {
			var ignored json.RawMessage
			return p.Decode(&ignored)
		}
		if found {
			return errors.New("weight_map stands there twice")
		}
		found = true
		return p.texts(weights)
	})
	if err != nil {
		return nil, fail("weight_map", err)
	}
	if !found {
		return nil, fail("weight_map", errors.New("missing"))
	}
	shards = map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		shard := weights[name]
		// A plain name only: whatever could lead out of the folder, on any
		// system, is refused.
		if shard == "" || shard == "." || shard == ".." || strings.ContainsAny(shard, "/\\:\x00") {
			return nil, fail(fmt.Sprintf("weight_map, tensor %q", name),
				fmt.Errorf("file %q is no plain name of a file in the same folder", shard))
		}
		shards[shard] = append(shards[shard], name)
	}
	return shards, nil
}
