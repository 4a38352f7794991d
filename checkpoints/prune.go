package checkpoints

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/regular"
)

// deletingName marks a step folder whose deletion has begun, so that a kill in
// the middle never leaves something that looks like a damaged checkpoint.
const deletingName = ".deleting"

// previousSuffix is what atomicfile.ReplaceDir may add to a replaced folder.
const previousSuffix = ".previous"

// Prune deletes all checkpoints but the latest keep (at least 1) by step and
// those that best and last name, and returns the names of the deleted. A folder
// whose manifest cannot be read is left alone, and so are files that the
// manifest does not list.
func (s *Store) Prune(keep int) ([]string, error) {
	if s.lock == nil {
		return nil, s.readOnly("prune")
	}
	if keep < 1 {
		return nil, fmt.Errorf("prune checkpoints: keep %d, want at least 1", keep)
	}
	list, err := s.List()
	if err != nil {
		return nil, err
	}
	spared := map[string]bool{}
	for _, pointer := range []string{lastName, bestName} {
		// A pointer that is absent or damaged spares nothing; who follows it is told.
		if name, err := s.pointer(pointer); err == nil {
			spared[name] = true
		}
	}
	var deleted []string
	for _, name := range list[:max(0, len(list)-keep)] {
		dir := filepath.Join(s.dir, name)
		if spared[name] {
			continue
		}
		if _, err := readManifest(dir); err != nil {
			continue
		}
		mark, err := regular.OpenFileOwn(filepath.Join(dir, deletingName), os.O_WRONLY|os.O_CREATE, 0o666)
		if err == nil {
			err = mark.Close()
		}
		if err == nil {
			err = finishDeletion(dir)
		}
		if err != nil {
			return deleted, fmt.Errorf("prune checkpoint %s: %w", name, err)
		}
		deleted = append(deleted, name)
	}
	return deleted, nil
}

func (s *Store) isDeleting(name string) bool {
	_, err := os.Lstat(filepath.Join(s.dir, name, deletingName))
	return err == nil
}

// finishDeletion deletes what the manifest of a marked folder lists, then the
// manifest, the mark and the folder. If other files are there, the folder stays
// with them and with the mark.
func finishDeletion(dir string) error {
	if m, err := readManifest(dir); err == nil {
		for _, f := range m.Files {
			if err := removeIfThere(filepath.Join(dir, f.Name)); err != nil {
				return err
			}
		}
		if err := removeIfThere(filepath.Join(dir, manifestName)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 1 {
		return nil
	}
	if err := removeIfThere(filepath.Join(dir, deletingName)); err != nil {
		return err
	}
	return os.Remove(dir)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sweep clears away what killed processes left.
func (s *Store) sweep() error {
	if err := atomicfile.RemoveTemporary(s.dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(s.dir, name)
		if replaced, ok := strings.CutSuffix(name, previousSuffix); ok {
			if _, isStep := stepOf(replaced); isStep && e.IsDir() {
				if _, err := readManifest(filepath.Join(s.dir, replaced)); err == nil {
					if err := os.RemoveAll(path); err != nil {
						return err
					}
				}
			}
			continue
		}
		if _, ok := stepOf(name); !ok || !e.IsDir() {
			continue
		}
		inside, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		if len(inside) == 0 {
			err = os.Remove(path)
		} else if s.isDeleting(name) {
			err = finishDeletion(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
