package atomicfile

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write creates or replaces the file at path with what fill writes. An error of
// fill, of the disk or of the folder's permissions leaves the old file, or its
// absence, as it was, and is returned wrapped with the path. A file that is
// replaced keeps its permissions; a new one gets 0666 less the umask.
func Write(path string, fill func(w io.Writer) error) error {
	if err := write(path, create, fill); err != nil {
		return fmt.Errorf("write %s (left as it was): %w", path, err)
	}
	return nil
}

// file is what writing needs of an *os.File; tests put a failing disk here.
type file interface {
	io.WriteCloser
	Sync() error
}

func create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

func write(path string, create func(path string) (file, error), fill func(w io.Writer) error) (err error) {
	old, statErr := os.Stat(path)
	if statErr == nil && !old.Mode().IsRegular() {
		return fmt.Errorf("there is a folder or device of that name: %w", fs.ErrExist)
	}
	var out file
	temporary, held, err := claim(path, func(name string) (err error) {
		if out != nil { // that of a name that was lost
			_ = out.Close()
		}
		out, err = create(name)
		return err
	})
	if err != nil {
		return err
	}
	if held != nil {
		defer held.Close()
	}
	open := true
	defer func() {
		if err == nil {
			return
		}
		// Errors of cleaning up would hide the one that matters.
		if open {
			_ = out.Close()
		}
		_ = os.Remove(temporary)
	}()
	const bufferSize = 1 << 16
	w := bufio.NewWriterSize(out, bufferSize)
	if err := fill(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	open = false
	if err := out.Close(); err != nil {
		return err
	}
	if statErr == nil {
		if err := os.Chmod(temporary, old.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}
