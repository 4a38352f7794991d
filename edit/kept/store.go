package kept

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/report"
)

// StoreExt is how the name of an edit store ends: the memory of edits that change
// the context and no weights.
const StoreExt = ".json"

// IsStore tells the name of an edit store from those of edit files and folders.
func IsStore(path string) bool { return strings.HasSuffix(path, StoreExt) }

// Stored describes an edit of a store.
type Stored struct {
	ID      string `json:"id"`
	Prompt  string `json:"prompt"`
	Subject string `json:"subject,omitempty"`
	Target  string `json:"target"`
}

// StoreInfo describes an edit store.
type StoreInfo struct {
	Store string   `json:"store"`
	Edits []Stored `json:"edits"`
}

// StoreInfoOf describes a store.
func StoreInfoOf(s *ike.Store) StoreInfo {
	out := StoreInfo{Store: s.Path(), Edits: []Stored{}}
	for _, r := range s.Requests() {
		out.Edits = append(out.Edits, Stored{r.ID, r.Prompt, r.Subject, r.Target})
	}
	return out
}

// Print writes a table of the store's edits.
func (s StoreInfo) Print(w io.Writer) error {
	if len(s.Edits) == 0 {
		_, err := fmt.Fprintf(w, "%s holds no edits\n", s.Store)
		return err
	}
	t := &report.Table{Columns: []report.Column{{Name: "id"}, {Name: "prompt"}, {Name: "target"}}}
	for _, e := range s.Edits {
		t.Row(e.ID, report.Line(e.Prompt), report.Line(e.Target))
	}
	return t.Show(w)
}

// OpenStore opens a store that has to be there.
func OpenStore(path string) (*ike.Store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("edit store: %w; keyhole edit --editor ike … --keep %s makes one", err, path)
	}
	return openStore(path)
}

// openStore opens a store, or makes an empty one.
func openStore(path string) (*ike.Store, error) {
	s, err := ike.OpenStore(path)
	var unread *fs.PathError
	if err == nil || errors.As(err, &unread) {
		return s, err
	}
	why := errors.Unwrap(err)
	if errors.Is(err, io.EOF) {
		why = errors.New("it is empty")
	}
	return nil, fmt.Errorf("%s is no edit store that keyhole can read: %w; name another file (keyhole edit --editor ike … --keep FILE%s makes one)", path, why, StoreExt)
}

// StoreWith is a store with requests added, to be saved. An ID of a request that
// comes alone is not its name there.
func StoreWith(path string, requests []edit.Request) (*ike.Store, error) {
	s, err := openStore(path)
	if err != nil {
		return nil, err
	}
	for _, r := range requests {
		if len(requests) == 1 {
			r.ID = ""
		}
		if err := s.Add(r); err != nil {
			return nil, fmt.Errorf("edit store %s: %w", path, err)
		}
	}
	return s, nil
}

// addTo adds requests to a store and saves it, while nobody else does.
func addTo(path string, requests []edit.Request) (err error) {
	held, err := lock.Beside(path)
	if err != nil {
		return fmt.Errorf("edit store: %w", err)
	}
	defer func() { err = errors.Join(err, held.Unlock()) }()
	s, err := StoreWith(path, requests)
	if err == nil {
		err = s.Save()
	}
	return err
}

// RemoveStored takes edits, by id, out of a store.
func RemoveStored(path string, ids []string) (_ *ike.Store, err error) {
	held, err := lock.Beside(path)
	if err != nil {
		return nil, fmt.Errorf("edit store: %w", err)
	}
	defer func() { err = errors.Join(err, held.Unlock()) }()
	s, err := OpenStore(path)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := s.Remove(id); err != nil {
			return nil, fmt.Errorf("%w; see: keyhole edits list %s", err, console.Shell(path))
		}
	}
	return s, s.Save()
}
