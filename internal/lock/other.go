//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package lock

import (
	"errors"
	"io/fs"
	"os"
)

// take makes a file that must not exist yet. After a kill it stays: the process
// in it tells the user whether it may be deleted.
func take(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, ErrHeld
	}
	return f, err
}

func release(f *os.File) error { return errors.Join(f.Close(), os.Remove(f.Name())) }

// Hold fails: the system cannot tell who holds a file.
func Hold(string) (*os.File, error) { return nil, errors.ErrUnsupported }
