// Package regular opens regular files, and nothing else: no pipe that waits for
// its other end, no device that never ends, no folder, and where it matters no
// symbolic link to a file that the user did not name. It also tells files from
// folders by their paths.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrNot is what errors wrap that say that something is no regular file.
var ErrNot = errors.New("not a regular file")

// ErrTooLarge is what errors wrap that say that a file is longer than its limit.
var ErrTooLarge = errors.New("too large")

// Open opens a regular file, or a link to one, for reading.
func Open(path string) (*os.File, error) { return OpenFile(path, os.O_RDONLY, 0) }

// OpenOwn opens a regular file for reading that this program wrote itself, in a
// place where it writes no links: a symbolic link is refused.
func OpenOwn(path string) (*os.File, error) { return open(path, os.O_RDONLY, 0, true) }

// OpenFile is [os.OpenFile] for regular files and links to them. What is opened
// for writing is not cut short by os.O_TRUNC before it is known to be one.
func OpenFile(path string, flag int, perm fs.FileMode) (*os.File, error) {
	return open(path, flag, perm, false)
}

// OpenFileOwn is OpenFile that refuses symbolic links.
func OpenFileOwn(path string, flag int, perm fs.FileMode) (*os.File, error) {
	return open(path, flag, perm, true)
}

func open(path string, flag int, perm fs.FileMode, own bool) (*os.File, error) {
	f, err := openFlags(path, flag&^os.O_TRUNC, perm, own)
	if err != nil {
		if info, statErr := os.Lstat(path); own && statErr == nil && info.Mode()&fs.ModeSymlink != 0 {
			err = refusal(path, info.Mode())
		}
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = refusal(path, info.Mode())
	}
	if err == nil && flag&os.O_TRUNC != 0 {
		err = f.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func refusal(path string, mode fs.FileMode) error {
	what := "a device, pipe or socket"
	switch {
	case mode.IsDir():
		what = "a folder"
	case mode&fs.ModeSymlink != 0:
		what = "a symbolic link"
	}
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%s, %w", what, ErrNot)}
}

// ReadFile reads a regular file of at most limit bytes, and refuses a longer one
// before it reads it.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, limit)
}

// ReadOwn is ReadFile that refuses symbolic links.
func ReadOwn(path string, limit int64) ([]byte, error) {
	f, err := OpenOwn(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, limit)
}

func readAll(f *os.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if size <= limit {
		// a file of the system may be longer than it says
		raw := make([]byte, 0, size+1)
		if raw, err = appendAll(raw, io.LimitReader(f, limit+1)); err != nil {
			return nil, err
		}
		if size = int64(len(raw)); size <= limit {
			return raw, nil
		}
	}
	return nil, &fs.PathError{Op: "read", Path: f.Name(), Err: fmt.Errorf("%w: %d bytes or more, at most %d are possible here", ErrTooLarge, size, limit)}
}

// appendAll is io.ReadAll into a slice with room.
func appendAll(raw []byte, r io.Reader) ([]byte, error) {
	for {
		n, err := r.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		if errors.Is(err, io.EOF) {
			return raw, nil
		}
		if err != nil {
			return nil, err
		}
		if len(raw) == cap(raw) {
			raw = append(raw, 0)[:len(raw)]
		}
	}
}
