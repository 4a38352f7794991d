package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// MakeParent makes the folder that path is to lie in. forget removes what it
// made, as far as it is empty.
func MakeParent(path string) (forget func(), err error) {
	return MakeDir(filepath.Dir(filepath.Clean(path)))
}

// WriteBelow is Write into a folder that is made if it is not there, and goes again if
// nothing could be written.
func WriteBelow(path string, fill func(w io.Writer) error) error {
	forget, err := MakeParent(path)
	if err != nil {
		return err
	}
	if err := Write(path, fill); err != nil {
		forget()
		return err
	}
	return nil
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
