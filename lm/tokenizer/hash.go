package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Hash is the SHA-256, in hexadecimal, of the files of a Hugging Face folder that
// Load reads, with their names; tokenizer.json.gz counts as what it holds.
func Hash(dir string) (string, error) {
	files := map[string][]byte{}
	add := func(names ...string) (all bool, err error) {
		all = true
		for _, name := range names {
			data, err := readFile(filepath.Join(dir, name))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				all = false
			case err != nil:
				return false, fmt.Errorf("tokenizer: %w", err)
			default:
				files[strings.TrimSuffix(name, ".gz")] = data
			}
		}
		return all, nil
	}
	if _, err := add(fileConfig, fileSpecials, fileAdded); err != nil {
		return "", err
	}
	for _, source := range [][]string{{fileJSON}, {fileGzip}, {fileVocab, fileMerges}, {filePieces}} {
		if found, err := add(source...); err != nil || found {
			return HashFiles(files), err
		}
	}
	return HashFiles(files), nil
}

// HashFiles is the SHA-256, in hexadecimal, of files by name, in the order of
// their names.
func HashFiles(files map[string][]byte) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %d\n", name, len(files[name]))
		h.Write(files[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}
