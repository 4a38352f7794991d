package ike

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/internal/seal"
	"keyhole.example/keyhole/text"
)

// Store is a file of edits that are to be put in front of queries: the memory
// of context editors. Give its Requests to an editor with memory: store.
type Store struct {
	path    string
	entries []storeEntry
}

// storeFormat names the file's kind; storeVersion changes with its meaning.
const (
	storeFormat  = "keyhole-edit-store"
	storeVersion = 1
)

type storeFile struct {
	Format  string       `json:"format"`
	Version int          `json:"version"`
	Edits   []storeEntry `json:"edits"`
	Sum     string       `json:"sum,omitempty"` // of the edits as compact JSON; the first version wrote none
}

// sum is made of what the edits say, however they are laid out.
func (f *storeFile) sum() (string, error) {
	text, err := json.Marshal(f.Edits)
	return seal.Sum(text), err
}

type storeEntry struct {
	ID      string `json:"id"`
	Prompt  string `json:"prompt"`
	Subject string `json:"subject,omitempty"`
	Target  string `json:"target"`
	True    string `json:"true,omitempty"`

	Join       data.Join       `json:"join,omitempty"`
	Occurrence text.Occurrence `json:"occurrence,omitempty"`
}

// OpenStore reads a store; without a file at path it is empty. A file that
// breaks the format is an error that names it and the edit at fault.
func OpenStore(path string) (*Store, error) {
	s := &Store{path: path}
	const maxStore = 1 << 30
	raw, err := regular.ReadFile(path, maxStore)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("edit store: %w", err)
	}
	if err := s.parse(raw); err != nil {
		return nil, fmt.Errorf("edit store %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) parse(raw []byte) error {
	if err := seal.CheckText(raw); err != nil {
		return err
	}
	var f storeFile
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the closing brace")
	}
	switch {
	case f.Format != storeFormat:
		return fmt.Errorf("format is %q, want %q", f.Format, storeFormat)
	case f.Version != storeVersion:
		return fmt.Errorf("version is %d, this program reads %d", f.Version, storeVersion)
	}
	if sum, err := f.sum(); f.Sum != "" && (err != nil || sum != f.Sum) {
		return fmt.Errorf("its sum is %s, not %s: it is damaged, or was changed by hand; where that is meant, delete the line with the sum", sum, f.Sum)
	}
	for i, e := range f.Edits {
		if e.ID == "" {
			return fmt.Errorf("edit %d has no id", i)
		}
		if err := s.Add(edit.Request(e)); err != nil {
			return err
		}
	}
	return nil
}

// Path is where Save writes.
func (s *Store) Path() string { return s.path }

// Requests are the stored edits, oldest first.
func (s *Store) Requests() []edit.Request {
	out := make([]edit.Request, len(s.entries))
	for i, e := range s.entries {
		out[i] = edit.Request(e)
	}
	return out
}

// Add appends an edit. One without an id gets the least number that is free.
// An id or a prompt that is there already is an error.
func (s *Store) Add(r edit.Request) error {
	taken := func(id string) bool {
		return slices.ContainsFunc(s.entries, func(e storeEntry) bool { return e.ID == id })
	}
	for n := 1; r.ID == ""; n++ {
		if id := strconv.Itoa(n); !taken(id) {
			r.ID = id
		}
	}
	if err := r.Validate(false); err != nil {
		return err
	}
	if taken(r.ID) {
		return fmt.Errorf("edit %s: the id is taken; choose another", r.ID)
	}
	for _, e := range s.entries {
		if e.Prompt == r.Prompt {
			return fmt.Errorf("edit %s: edit %s already answers %q, with %q; remove that first", r.ID, e.ID, e.Prompt, e.Target)
		}
	}
	s.entries = append(s.entries, storeEntry(r))
	return nil
}

// Remove forgets the edit of the given id.
func (s *Store) Remove(id string) error {
	at := slices.IndexFunc(s.entries, func(e storeEntry) bool { return e.ID == id })
	if at < 0 {
		return fmt.Errorf("edit store %s: there is no edit %q", s.path, id)
	}
	s.entries = slices.Delete(s.entries, at, at+1)
	return nil
}

// Save writes the store, whole or not at all.
func (s *Store) Save() error { return atomicfile.Write(s.path, s.encode) }

func (s *Store) encode(w io.Writer) error {
	f := storeFile{Format: storeFormat, Version: storeVersion, Edits: s.entries}
	if f.Edits == nil {
		f.Edits = []storeEntry{}
	}
	var err error
	if f.Sum, err = f.sum(); err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(f)
}
