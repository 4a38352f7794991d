package kept

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/atomicfile"
)

// IsFile tells the name of one edit file from those of stores and folders.
func IsFile(path string) bool { return strings.HasSuffix(path, edit.FileExt) }

// Free refuses to write an edit over another; a store takes more edits, and so does
// a folder.
func Free(path string) error {
	if !IsFile(path) {
		return nil
	}
	return atomicfile.Free(path)
}

// Write keeps edits of the base model with a hash at a path: an edit file (of one
// edit), a store (of contexts), or a folder, which gets a file for each; all or none.
func Write(path string, edits []*edit.Edited, hash string) error {
	inner := path
	if !IsStore(path) && !IsFile(path) {
		inner = filepath.Join(path, "edit")
	}
	forget, err := atomicfile.MakeParent(inner)
	if err != nil {
		return err
	}
	switch {
	case IsStore(path):
		err = addTo(path, edits[0].Requests)
	case IsFile(path):
		if err = Free(path); err == nil {
			err = edit.WriteFile(path, edits[0], hash)
		}
	default:
		err = writeAll(path, edits, hash)
	}
	if err != nil {
		forget()
	}
	return err
}

// writeAll writes edits into a folder, a file each: all or none.
func writeAll(dir string, edits []*edit.Edited, hash string) error {
	var paths []string
	for i, e := range edits {
		path := filepath.Join(dir, fmt.Sprintf("%03d-%s", i+1, FileName(e, len(edits))))
		if err := atomicfile.Free(path); err != nil {
			return err
		}
		paths = append(paths, path)
	}
	for i, e := range edits {
		if err := edit.WriteFile(paths[i], e, hash); err != nil {
			for _, p := range paths[:i] {
				err = errors.Join(err, os.Remove(p))
			}
			return err
		}
	}
	return nil
}

// FileName names an edit's file in a folder, one of several by its request.
func FileName(e *edit.Edited, of int) string {
	if of == 1 || len(e.Requests) != 1 {
		return "edit" + edit.FileExt
	}
	id := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, e.Requests[0].ID)
	return "edit-" + strings.ToValidUTF8(id[:min(len(id), 60)], "") + edit.FileExt
}
