package embedded

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/pretrain"
)

// Model is the base model. Its files are unpacked, once, into the user's cache
// folder (or, where there is none, the folder for temporary files), checked at
// each call, and mapped from there. Close the model when done.
func Model() (*lm.Model, error) {
	files, err := modelFiles()
	if err != nil {
		return nil, err
	}
	dir, err := unpack(files)
	if err != nil {
		return nil, fmt.Errorf("unpack the embedded model: %w", err)
	}
	return lm.Load(dir)
}

// modelFiles are the contents of the model's files by name.
func modelFiles() (map[string][]byte, error) {
	m, err := Manifest()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for name := range m.Files {
		if base, ok := strings.CutPrefix(name, pretrain.ModelDir+"/"); ok {
			if files[base], err = read(name); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// unpack makes sure that the files lie in a folder named by their content.
func unpack(files map[string][]byte) (string, error) {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %x\n", name, sha256.Sum256(files[name]))
	}
	id := hex.EncodeToString(h.Sum(nil))[:16]
	var errs []error
	for _, root := range roots() {
		dir := filepath.Join(root, id)
		err := provide(dir, files)
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// roots are the folders to try, in this order.
func roots() []string {
	var out []string
	if cache, err := os.UserCacheDir(); err == nil {
		out = append(out, filepath.Join(cache, "keyhole"))
	}
	return append(out, filepath.Join(os.TempDir(), fmt.Sprintf("keyhole-%d", os.Getuid())))
}

// provide writes the files to dir unless they are there already.
func provide(dir string, files map[string][]byte) error {
	if intact(dir, files) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	build := func(dir string) error {
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				return err
			}
		}
		return nil
	}
	err := atomicfile.WriteDir(dir, build)
	if errors.Is(err, fs.ErrExist) {
		if intact(dir, files) { // another process was faster
			return nil
		}
		err = atomicfile.ReplaceDir(dir, build)
	}
	return err
}

// intact reports whether dir holds exactly the files.
func intact(dir string, files map[string][]byte) bool {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(files) {
		return false
	}
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(have, want) {
			return false
		}
	}
	return true
}
