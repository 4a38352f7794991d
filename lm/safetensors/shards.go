package safetensors

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"keyhole.example/keyhole/internal/atomicfile"
)

// WriteModel writes the weights of a model into an existing folder: one
// model.safetensors, or, if the tensors take more than shardBytes together,
// shards of at most that many bytes (a larger tensor has one of its own) and
// their index, in the order given. shardBytes of 0 means one file.
//
// Each file is written whole or not at all; for the folder as a whole, build it
// with atomicfile.WriteDir. The folder should hold no other weights: readers
// may prefer a file that was there before.
func WriteModel(dir string, entries []Entry, metadata map[string]string, shardBytes int) error {
	shards, total, err := split(entries, shardBytes)
	if err != nil {
		return err
	}
	if len(shards) == 1 {
		return Write(filepath.Join(dir, SingleName), entries, metadata)
	}
	weights := map[string]string{}
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		for _, e := range shard {
			if _, twice := weights[e.name]; twice {
				return fmt.Errorf("tensor %q: the name stands there twice", e.name)
			}
			weights[e.name] = name
		}
		if err := Write(filepath.Join(dir, name), shard, metadata); err != nil {
			return err
		}
	}
	index := map[string]any{
		"metadata":   map[string]int{"total_size": total},
		"weight_map": weights,
	}
	// Last, so that an index never names shards that are not there yet.
	return atomicfile.Write(filepath.Join(dir, IndexName), func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(index)
	})
}

// split cuts the entries into shards, at least one, and returns their bytes.
func split(entries []Entry, shardBytes int) (shards [][]Entry, total int, err error) {
	shards = [][]Entry{nil}
	room := shardBytes
	for _, e := range entries {
		size, err := e.size()
		if err != nil {
			return nil, 0, fmt.Errorf("tensor %q: %w", e.name, err)
		}
		last := len(shards) - 1
		if shardBytes > 0 && size > room && len(shards[last]) > 0 {
			shards = append(shards, nil)
			last, room = last+1, shardBytes
		}
		shards[last] = append(shards[last], e)
		room -= size
		total += size
	}
	return shards, total, nil
}
