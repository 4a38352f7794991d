package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/internal/seal"
	"keyhole.example/keyhole/lm"
)

// The files of a store: a list, and beside it a file for each edit that has more
// than its request.
const (
	listFile     = "edits.json"
	filesFolder  = "files"
	storeFormat  = "keyhole-serve"
	storeVersion = 1
	maxList      = 64 << 20
)

// kept is an edit of the list.
type kept struct {
	ID      string    `json:"id"`
	On      bool      `json:"on"`
	Editor  string    `json:"editor"`
	Request fact      `json:"request"`
	Created time.Time `json:"created"`
	Seconds float64   `json:"seconds"`
	Held    bool      `json:"held"`
	Drift   drift     `json:"drift"`

	edited *edit.Edited // nil: a context, which its editor makes of the request
}

// drift is how far a model went on unrelated prompts.
type drift struct {
	Same    float64 `json:"same"` // share whose most probable token stays
	KL      float64 `json:"kl"`   // nats
	Prompts int     `json:"prompts"`
}

// listed is a kept edit in the file.
type listed struct {
	kept
	File   string `json:"file,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // of the file
}

// storeList is the file of the list. Sum is the SHA-256 of what stands before it,
// as compact JSON.
type storeList struct {
	Format  string   `json:"format"`
	Version int      `json:"version"`
	Model   string   `json:"model"`
	Next    int      `json:"next"` // number of the next edit
	Edits   []listed `json:"edits"`
	Sum     string   `json:"sha256"`
}

func (l storeList) sum() (string, error) {
	l.Sum = ""
	raw, err := encode(l)
	return digest(raw), err
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// store keeps the list in a folder that it holds the lock of.
type store struct {
	dir   string
	model string
	held  *lock.Lock
	next  int
	sums  map[string]string // of the files, by edit
}

// StoreFolder is where the edits of a model are kept unless told otherwise: below
// the user's data folder.
func StoreFolder(m *lm.Model) (string, error) {
	hash, err := m.Hash()
	if err != nil {
		return "", err
	}
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("folder of edits: %w; name one with --store", err)
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "keyhole", "serve", digest([]byte(hash))[:16]), nil
}

// openStore opens the edits of m in a folder, which it makes where there is none.
func openStore(dir string, m *lm.Model) (*store, []*kept, error) {
	hash, err := m.Hash()
	if err != nil {
		return nil, nil, err
	}
	if _, err := atomicfile.MakeDir(filepath.Join(dir, filesFolder)); err != nil {
		return nil, nil, fmt.Errorf("store: %w", err)
	}
	held, err := lock.Folder(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("store: %w (--store FOLDER)", err)
	}
	s := &store{dir: dir, model: hash, held: held, next: 1, sums: map[string]string{}}
	list, err := s.load(m)
	if err != nil {
		return nil, nil, errors.Join(err, held.Unlock())
	}
	return s, list, nil
}

// close gives the folder back.
func (s *store) close() error { return s.held.Unlock() }

func (s *store) path() string { return filepath.Join(s.dir, listFile) }

// file is where the file of an edit lies.
func (s *store) file(id string) string {
	return filepath.Join(s.dir, filesFolder, id+edit.FileExt)
}

func (s *store) load(m *lm.Model) ([]*kept, error) {
	raw, err := regular.ReadOwn(s.path(), maxList)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.sweep(nil)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	list, err := s.parse(raw, m)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w; put back a copy, or move the folder %s away to begin without edits", s.path(), err, s.dir)
	}
	return list, s.sweep(list)
}

func (s *store) parse(raw []byte, m *lm.Model) ([]*kept, error) {
	if err := seal.CheckText(raw); err != nil {
		return nil, err
	}
	var l storeList
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return nil, err
	}
	sum, err := l.sum()
	switch {
	case err != nil:
		return nil, err
	case l.Format != storeFormat:
		return nil, fmt.Errorf("format is %q, want %q", l.Format, storeFormat)
	case l.Version != storeVersion:
		return nil, fmt.Errorf("version is %d, this program reads %d", l.Version, storeVersion)
	case l.Sum != sum:
		return nil, errors.New("it is damaged: its SHA-256 is another")
	}
	if _, err := m.Owns(l.Model); err != nil {
		return nil, fmt.Errorf("its edits are those of %w", err)
	}
	s.next = l.Next
	var out []*kept
	for _, e := range l.Edits {
		k := e.kept
		if e.File != "" {
			if k.edited, err = s.readFile(&e, m); err != nil {
				return nil, fmt.Errorf("edit %s: %w", e.ID, err)
			}
			s.sums[k.ID] = e.SHA256
		}
		out = append(out, &k)
	}
	return out, nil
}

// readFile reads the file of an edit, which is the one that was written.
func (s *store) readFile(e *listed, m *lm.Model) (*edit.Edited, error) {
	if e.File != e.ID+edit.FileExt || filepath.Base(e.File) != e.File {
		return nil, fmt.Errorf("its file has the name %q", e.File)
	}
	sum, err := fileSum(s.file(e.ID))
	if err != nil {
		return nil, err
	}
	if sum != e.SHA256 {
		return nil, fmt.Errorf("%s is damaged: its SHA-256 is another", s.file(e.ID))
	}
	k, err := edit.ReadFile(s.file(e.ID))
	if err != nil {
		return nil, err
	}
	return k.Edited, catalog.Revive(m, k.Edited)
}

func fileSum(path string) (string, error) {
	f, err := regular.OpenOwn(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sweep removes files of no edit of the list: a kill left them.
func (s *store) sweep(list []*kept) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, filesFolder))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for _, e := range entries {
		known := slices.ContainsFunc(list, func(k *kept) bool { return e.Name() == k.ID+edit.FileExt })
		if !known && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(s.dir, filesFolder, e.Name())); err != nil {
				return fmt.Errorf("store: %w", err)
			}
		}
	}
	return nil
}

// newID is a number that no edit has had.
func (s *store) newID() string {
	id := strconv.Itoa(s.next)
	s.next++
	return id
}

// addFile writes the file of an edit. Until a list names it, it does not count.
func (s *store) addFile(k *kept) error {
	if k.edited == nil {
		return nil
	}
	if err := edit.WriteFile(s.file(k.ID), k.edited, s.model); err != nil {
		return err
	}
	sum, err := fileSum(s.file(k.ID))
	if err != nil {
		return err
	}
	s.sums[k.ID] = sum
	return nil
}

// save writes the list, whole or not at all, and removes files that it does not
// name any more.
func (s *store) save(list []*kept) error {
	l := storeList{Format: storeFormat, Version: storeVersion, Model: s.model, Next: s.next, Edits: []listed{}}
	for _, k := range list {
		e := listed{kept: *k}
		if k.edited != nil {
			e.File, e.SHA256 = k.ID+edit.FileExt, s.sums[k.ID]
		}
		l.Edits = append(l.Edits, e)
	}
	var err error
	if l.Sum, err = l.sum(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	raw, err := encode(l)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	err = atomicfile.Write(s.path(), func(w io.Writer) error {
		_, err := w.Write(append(raw, '\n'))
		return err
	})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return s.sweep(list)
}

// files are the list's edits as saved models keep them.
func (s *store) files(list []*kept) []*edit.Kept {
	var out []*edit.Kept
	for _, k := range list {
		out = append(out, &edit.Kept{Path: saved.PlainName(s.file(k.ID)), Model: s.model, Edited: k.edited})
	}
	return out
}
