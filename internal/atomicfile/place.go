package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// MakeParent makes the folder that path is to lie in. forget removes what it
// made, as far as it is empty.
func MakeParent(path string) (forget func(), err error) {
	var made []string // the innermost first
	dir := filepath.Dir(filepath.Clean(path))
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, d)
	}
	forget = func() {
		for _, d := range made {
			_ = os.Remove(d) // one with something in it stays
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		forget()
		return nil, err
	}
	return forget, nil
}

// Writable fails if nothing new can be made at path. It leaves nothing behind.
func Writable(path string) error {
	forget, err := MakeParent(path)
	if err != nil {
		return err
	}
	defer forget()
	f, err := os.CreateTemp(filepath.Dir(filepath.Clean(path)), ".keyhole-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	var cause *fs.PathError
	if errors.As(err, &cause) { // its path is not one that the user named
		err = cause.Err
	}
	if err != nil {
		return fmt.Errorf("nothing can be written at %s; choose another place: %w", path, err)
	}
	return nil
}
