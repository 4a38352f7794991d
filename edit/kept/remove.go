package kept

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/internal/lock"
)

// Forget takes edits, by id, out of a file that holds a memory of them.
func Forget(path string, ids []string) (_ *edit.Kept, err error) {
	held, err := lock.Beside(path)
	if err != nil {
		return nil, fmt.Errorf("edit file: %w", err)
	}
	defer func() { err = errors.Join(err, held.Unlock()) }()
	k, err := edit.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list, err := catalog.Listed(k.Edited)
	if errors.Is(err, catalog.ErrNotListed) {
		return nil, fmt.Errorf("%s, an edit by %s: %w, so none can be taken out; remove the file, and make those that shall stay anew", path, k.Edited.Editor, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, id := range ids {
		m, err := list.Forget(id)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; see: keyhole edits list %s", path, err, console.Shell(path))
		}
		list = m.(edit.Lister)
	}
	k.Edited.Memory, k.Edited.Requests = list, list.Requests()
	return k, edit.WriteFile(path, k.Edited, k.Model)
}

// Without are the edits of an edited model but those named, by the files that hold
// them; saw is how many of these were found in the model with one of those, and keep
// what they saw of it.
func Without(s *saved.Model, names []string) (list []*edit.Kept, saw int, err error) {
	if list, err = edit.ListFiles(filepath.Join(s.Dir, saved.EditsFolder)); err != nil {
		return nil, 0, err
	}
	first := len(list)
	for _, n := range names {
		n = filepath.Base(n)
		i := slices.IndexFunc(list, func(k *edit.Kept) bool { return filepath.Base(k.Path) == n || saved.PlainName(k.Path) == n })
		if i < 0 {
			return nil, 0, fmt.Errorf("%s has no edit %s; see: keyhole edits list %s", s.Dir, n, console.Shell(s.Dir))
		}
		list, first = slices.Delete(list, i, i+1), min(first, i)
	}
	for _, k := range list[min(first, len(list)):] {
		if k.Edited.Sees() {
			saw++
		}
	}
	return list, saw, nil
}
