//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package checkpoints

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// takeLock uses flock, which the system releases when the process ends, however
// it ends.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil {
		return f, nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errHeld
	}
	return nil, errors.Join(err, f.Close())
}

// releaseLock leaves the file in place: removing it would let two processes hold
// locks on two files of one name.
func releaseLock(f *os.File) error {
	return errors.Join(f.Truncate(0), f.Close())
}
