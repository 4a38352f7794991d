package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"

	"keyhole.example/keyhole/internal/lock"
)

// marker stands in the name of everything that is unfinished.
const marker = ".unfinished-"

// temporaryName is how claim names things.
var temporaryName = regexp.MustCompile(`^\..+\.unfinished-[0-9]+-[0-9]+$`)

// IsTemporary reports whether a file or folder of that name (its last element
// counts) is unfinished work of this package.
func IsTemporary(name string) bool { return temporaryName.MatchString(filepath.Base(name)) }

// RemoveTemporary deletes the unfinished files and folders that lie directly in
// dir. The caller makes sure that nobody is writing there, by a lock for
// instance.
func RemoveTemporary(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("clear unfinished files: %w", err)
	}
	for _, entry := range entries {
		if !IsTemporary(entry.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("clear unfinished files: %w", err)
		}
	}
	return nil
}

// sweep deletes what killed writers left unfinished in dir. Whoever still writes
// holds what he writes, so it stays, and so does what cannot be deleted.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // the write that follows says what is wrong
	}
	for _, e := range entries {
		if !IsTemporary(e.Name()) || !e.IsDir() && !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if f, err := lock.Hold(path); err == nil {
			_ = os.RemoveAll(path)
			_ = f.Close()
		}
	}
}

// claim calls create with temporary names next to path until one is free, and
// holds what was created until held is closed; held may be nil.
func claim(path string, create func(temporary string) error) (temporary string, held io.Closer, err error) {
	dir, base := filepath.Split(path)
	if base == "" || base == "." || base == ".." {
		return "", nil, fmt.Errorf("%q names no file or folder to write", path)
	}
	sweep(filepath.Clean(dir))
	const attempts = 1000 // each taken name is another write of this process, or could not be swept
	for n := range attempts {
		temporary := filepath.Join(dir, fmt.Sprintf(".%s%s%d-%d", base, marker, os.Getpid(), n))
		if err = create(temporary); err == nil {
			f, err := lock.Hold(temporary)
			switch {
			case err == nil:
				return temporary, f, nil
			case errors.Is(err, lock.ErrHeld) || errors.Is(err, lock.ErrGone):
				continue // swept before it was held
			}
			return temporary, nil, nil // where nothing can be held, nothing is swept
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return "", nil, fmt.Errorf("nothing can be created in folder %s; choose another place or change its permissions: %w", filepath.Dir(path), err)
	}
	return "", nil, err
}

// syncFolder makes renames in dir durable. Windows cannot and need not.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
