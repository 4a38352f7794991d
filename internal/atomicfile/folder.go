package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// MakeDir makes a folder with those that it lies in. forget removes the ones that
// it made, as far as they are empty.
func MakeDir(dir string) (forget func(), err error) {
	var made []string // the innermost first
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, d)
	}
	forget = func() {
		for _, d := range made {
			_ = os.Remove(d) // one with something in it stays
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		forget()
		return nil, err
	}
	return forget, nil
}

// Free refuses a path where something is.
func Free(path string) error {
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%s is there already; choose a new name, or delete it", path)
}

// WriteDir creates the folder path with what build puts into dir, a temporary
// folder beside it. It refuses with an error that wraps fs.ErrExist if there is
// something at path, except an empty folder. If build fails, nothing stays.
func WriteDir(path string, build func(dir string) error) error {
	path = filepath.Clean(path)
	if err := checkFree(path); err != nil {
		return fmt.Errorf("write folder %s: %w", path, err)
	}
	if err := writeDir(path, build, moveFree); err != nil {
		return fmt.Errorf("write folder %s (left as it was): %w", path, err)
	}
	return nil
}

// ReplaceDir does the same, and takes the place of a folder that is at path.
// On Linux the two are swapped in one step. Elsewhere there is an instant with
// no folder at path: a kill just then leaves the old one beside it, with
// ".previous" added to its name.
func ReplaceDir(path string, build func(dir string) error) error {
	path = filepath.Clean(path)
	if err := writeDir(path, build, moveOver); err != nil {
		return fmt.Errorf("replace folder %s (left as it was): %w", path, err)
	}
	return nil
}

func writeDir(path string, build func(dir string) error, move func(from, to string) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return fmt.Errorf("there is a file of that name: %w", fs.ErrExist)
	}
	temporary, held, err := claim(path, func(name string) error { return os.Mkdir(name, 0o777) })
	if err != nil {
		return err
	}
	if held != nil {
		defer held.Close()
	}
	// After success this removes the replaced folder, if the two were swapped.
	defer func() {
		if removeErr := os.RemoveAll(temporary); err == nil {
			err = removeErr
		}
	}()
	if err := build(temporary); err != nil {
		return err
	}
	if err := syncTree(temporary); err != nil {
		return err
	}
	if err := move(temporary, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// checkFree fails if path is a folder with something in it, before any work is
// done and once more before the rename.
func checkFree(path string) error {
	if entries, err := os.ReadDir(path); err == nil && len(entries) > 0 {
		return fmt.Errorf("the folder is not empty; choose another name or remove it: %w", fs.ErrExist)
	}
	return nil
}

// moveFree renames a folder to a name that is free or that of an empty folder.
func moveFree(from, to string) error {
	if err := checkFree(to); err != nil {
		return err
	}
	// A rename over a folder, even an empty one, is refused.
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(from, to)
}

// moveOver renames a folder to a name that may be taken by another folder; the
// other one is then at from, or gone.
func moveOver(from, to string) error {
	if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(from, to)
	}
	if exchange(from, to) == nil {
		return nil
	}
	return moveAside(from, to)
}

// moveAside is moveOver where two names can't be exchanged in one step.
func moveAside(from, to string) error {
	aside := to + ".previous" // not a temporary name: a kill after the next line leaves the only copy there
	if err := os.Rename(to, aside); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return errors.Join(err, os.Rename(aside, to))
	}
	return os.RemoveAll(aside)
}

// syncTree makes a folder's files and subfolders durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return syncFolder(path)
		case !entry.Type().IsRegular():
			return nil
		}
		return syncFile(path)
	})
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) { // a read-only file; only Windows minds how it is opened
		f, err = os.Open(path)
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
