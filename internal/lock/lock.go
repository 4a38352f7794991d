// Package lock keeps two processes from writing in one place. A lock is a hidden
// file that says who holds it; the system gives it back when the holder ends,
// however it ends.
package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// fileName is the lock of a folder, in it.
const fileName = ".lock"

// ErrHeld says that another process holds a lock.
var ErrHeld = errors.New("lock is held")

// ErrGone says that another process removed what was to be held.
var ErrGone = errors.New("it was removed")

// Lock is the right to write in a place. It ends with the process at the latest.
type Lock struct {
	place string
	f     *os.File
}

// Folder takes the lock of the folder dir, which must exist, without waiting. The
// error is an *[InUseError] if another process has it.
func Folder(dir string) (*Lock, error) { return taken(filepath.Join(dir, fileName), dir) }

// Beside takes the lock of a file, or of a folder that may not be there yet, which
// is a file beside it; the folder that it lies in must exist.
func Beside(path string) (*Lock, error) {
	path = filepath.Clean(path)
	return taken(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+fileName), path)
}

// Wait is Beside, but waits while another process has the lock, until ctx ends.
// waiting, if not nil, is told once whom it waits for.
func Wait(ctx context.Context, path string, waiting func(*InUseError)) (*Lock, error) {
	const pause = 20 * time.Millisecond
	for {
		l, err := Beside(path)
		var used *InUseError
		if !errors.As(err, &used) {
			return l, err
		}
		if waiting != nil {
			waiting(used)
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

func taken(path, place string) (*Lock, error) {
	f, err := take(path)
	if errors.Is(err, ErrHeld) {
		return nil, &InUseError{Place: place, Holder: holderOf(path)}
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", place, err)
	}
	if err := writeHolder(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", place, err), release(f))
	}
	return &Lock{place: place, f: f}, nil
}

// Unlock gives the lock back. Doing so twice is harmless.
func (l *Lock) Unlock() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	if err := release(f); err != nil {
		return fmt.Errorf("unlock %s: %w", l.place, err)
	}
	return nil
}
