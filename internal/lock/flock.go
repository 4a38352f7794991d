//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package lock

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"keyhole.example/keyhole/internal/regular"
)

// take uses flock, which the system gives back when the process ends. Nothing is
// written before the file is known to be a lock: not a link, not one of two names
// of a file, not a file of another kind.
func take(path string) (*os.File, error) {
	for {
		f, err := regular.OpenFileOwn(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		err = flock(f)
		if err == nil {
			err = checkLock(f, path)
		}
		if err == nil {
			return f, nil
		}
		if closed := f.Close(); !errors.Is(err, ErrGone) {
			return nil, errors.Join(err, closed)
		}
	}
}

// Hold marks a file or folder that is there as this process's own until the file
// that it returns is closed. It fails if another holds it, or where the system
// cannot tell.
func Hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err = flock(f); err == nil {
		err = checkThere(f, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrHeld
		}
		return err
	}
}

// checkThere fails with ErrGone if path is not the name of f any more.
func checkThere(f *os.File, path string) error {
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(mine, there) {
		return ErrGone
	}
	return err
}

func checkLock(f *os.File, path string) error {
	if err := checkThere(f, path); err != nil {
		return err
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	if s, ok := mine.Sys().(*syscall.Stat_t); ok && s.Nlink != 1 {
		return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("a file of %d names, which no lock is", s.Nlink)}
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, longest))
	if err == nil {
		_, err = parseHolder(string(text))
	}
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: "open", Path: path, Err: err}
}

// release removes the file while the lock is still held. Whoever opened it before
// finds out that it is gone (checkLock).
func release(f *os.File) error { return errors.Join(os.Remove(f.Name()), f.Close()) }
