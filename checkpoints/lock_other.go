//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package checkpoints

import (
	"errors"
	"io/fs"
	"os"
)

// takeLock makes a file that must not exist yet. After a kill it stays: the
// process id in it tells the user whether it may be deleted.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, errHeld
	}
	return f, err
}

func releaseLock(f *os.File) error {
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
