package checkpoints

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// lockName is the file that carries a folder's lock and its holder's process id.
const lockName = ".lock"

// errHeld is what takeLock reports while another process holds the lock.
var errHeld = errors.New("lock is held")

// Lock is the right to write in a folder. It ends with the process at the latest.
type Lock struct {
	f *os.File
}

// LockFolder takes the lock of the folder dir, which must exist, without
// waiting. The error is an *[InUseError] if another process has it.
func LockFolder(dir string) (*Lock, error) {
	path := filepath.Join(dir, lockName)
	f, err := takeLock(path)
	if errors.Is(err, errHeld) {
		return nil, &InUseError{Folder: dir, PID: holder(path)}
	}
	if err != nil {
		return nil, fmt.Errorf("lock folder %s (it must be writable): %w", dir, err)
	}
	if err := writeHolder(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock folder %s: %w", dir, err), releaseLock(f))
	}
	return &Lock{f: f}, nil
}

// Unlock gives the lock back. Doing so twice is harmless.
func (l *Lock) Unlock() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	if err := releaseLock(f); err != nil {
		return fmt.Errorf("unlock folder %s: %w", filepath.Dir(f.Name()), err)
	}
	return nil
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder reads the process id in a lock file; 0 if it says none.
func holder(path string) int {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	const longest = 32
	text, err := io.ReadAll(io.LimitReader(f, longest))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
