package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// marker stands in the name of everything that is unfinished.
const marker = ".unfinished-"

// IsTemporary reports whether a file or folder of that name (its last element
// counts) is unfinished work of this package.
func IsTemporary(name string) bool {
	base := filepath.Base(name)
	return strings.HasPrefix(base, ".") && strings.Contains(base, marker)
}

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

// claim calls create with temporary names next to path until one is free.
func claim(path string, create func(temporary string) error) (string, error) {
	dir, base := filepath.Split(path)
	if base == "" || base == "." || base == ".." {
		return "", fmt.Errorf("%q names no file or folder to write", path)
	}
	const attempts = 1000 // each taken name is a crash of a process with our number
	var err error
	for n := range attempts {
		temporary := filepath.Join(dir, fmt.Sprintf(".%s%s%d-%d", base, marker, os.Getpid(), n))
		if err = create(temporary); err == nil {
			return temporary, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return "", fmt.Errorf("nothing can be created in folder %s; choose another place or change its permissions: %w", filepath.Dir(path), err)
	}
	return "", err
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
