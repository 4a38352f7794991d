package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

const (
	editsFolder = "edits"     // in a saved model: the edits that it was made by
	baseFile    = "base.json" // in editsFolder: the model that they were made to
)

// savedModel is a model folder that an edit was applied to, with the edits in
// it, so that they can be listed and removed.
type savedModel struct {
	Dir   string `json:"-"`
	Model string `json:"model"` // hash of the base model
	Base  string `json:"path"`  // where the base model was, or "embedded"
	DType string `json:"dtype"`
}

// openSaved reads a folder that write made. It wraps fs.ErrNotExist for any
// other.
func openSaved(dir string) (*savedModel, error) {
	path := filepath.Join(dir, editsFolder, baseFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("edited model: %w", err)
	}
	s := &savedModel{Dir: dir}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.Model == "" || s.DType == "" {
		return nil, fmt.Errorf("%s: model or dtype is missing", path)
	}
	return s, nil
}

// write makes the folder: the base model m with the edits applied, whole or not
// at all. The folder must not exist.
func (s *savedModel) write(m *lm.Model, k *kernel.Engine, edits []*edit.Kept) error {
	return s.build(m, k, edits, atomicfile.WriteDir)
}

// rewrite does the same in place of the folder that is there.
func (s *savedModel) rewrite(m *lm.Model, k *kernel.Engine, edits []*edit.Kept) error {
	return s.build(m, k, edits, atomicfile.ReplaceDir)
}

func (s *savedModel) build(m *lm.Model, k *kernel.Engine, edits []*edit.Kept, into func(string, func(string) error) error) error {
	dtype, err := dtypeOf(s.DType)
	if err != nil {
		return err
	}
	if s.Model, err = m.Hash(); err != nil {
		return err
	}
	if s.Base != embeddedName {
		if s.Base, err = filepath.Abs(s.Base); err != nil {
			return err
		}
	}
	for _, e := range edits {
		if e.Model != s.Model {
			return fmt.Errorf("%s belongs to the base model with hash %.12s…, but %s has %.12s…; give the model that it was made for", e.Path, e.Model, m.Path, s.Model)
		}
	}
	undo := func() {}
	if len(edits) > 0 {
		whole, err := edit.Compose(edits...)
		if err != nil {
			return err
		}
		if undo, err = whole.Install(m, k); err != nil {
			return err
		}
	}
	defer undo()
	forget, err := newParent(s.Dir)
	if err != nil {
		return err
	}
	err = into(s.Dir, func(dir string) error {
		if err := m.Save(dir, lm.SaveOptions{DType: dtype}); err != nil {
			return err
		}
		return s.writeEdits(filepath.Join(dir, editsFolder), edits)
	})
	if err != nil {
		forget()
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; choose a new folder: %w", s.Dir, err)
	}
	return err
}

// freeFolder fails early where write would for want of a free name.
func freeFolder(path string) error {
	if _, err := os.Stat(path); err != nil {
		return writable(path)
	}
	if entries, err := os.ReadDir(path); err == nil && len(entries) == 0 {
		return writable(path)
	}
	return fmt.Errorf("%s is there already; choose a new folder", path)
}

func (s *savedModel) writeEdits(dir string, edits []*edit.Kept) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	for i, e := range edits {
		name := fmt.Sprintf("%03d-%s", i+1, plainName(e.Path))
		if err := edit.WriteFile(filepath.Join(dir, name), e.Edited, e.Model); err != nil {
			return err
		}
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, baseFile), append(raw, '\n'), 0o666)
}

// plainName is a file's name without the number that an earlier write gave it.
func plainName(path string) string {
	name := filepath.Base(path)
	if rest := strings.TrimLeft(name, "0123456789"); len(name)-len(rest) == 3 && strings.HasPrefix(rest, "-") {
		return rest[1:]
	}
	return name
}

// newParent makes the folder that path is to lie in. forget removes what it
// made, as far as it is empty.
func newParent(path string) (forget func(), err error) {
	var made []string // the innermost first
	dir := filepath.Dir(filepath.Clean(path))
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
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

// writable fails if nothing new can be made at path. It leaves nothing behind.
func writable(path string) error {
	forget, err := newParent(path)
	if err != nil {
		return err
	}
	defer forget()
	f, err := os.CreateTemp(filepath.Dir(filepath.Clean(path)), ".keyhole-*")
	if err == nil {
		err = errorAfter(f.Close(), os.Remove(f.Name()))
	}
	var cause *fs.PathError
	if errors.As(err, &cause) { // its path is not one that the user named
		err = cause.Err
	}
	if err != nil {
		return fmt.Errorf("nothing can be written at %s; choose another place: %w", path, err)
	}
	return nil
}
