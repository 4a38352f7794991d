package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/workbench"
)

// storeExt is how the name of an edit store ends: the memory of edits that
// change the context and no weights.
const storeExt = ".json"

// isStore tells the name of an edit store from those of edit files and folders.
func isStore(path string) bool { return strings.HasSuffix(path, storeExt) }

// storedEdit is the JSON of an edit in a store.
type storedEdit struct {
	ID      string `json:"id"`
	Prompt  string `json:"prompt"`
	Subject string `json:"subject,omitempty"`
	Target  string `json:"target"`
}

// storedEdits is the JSON of an edit store.
type storedEdits struct {
	Store string       `json:"store"`
	Edits []storedEdit `json:"edits"`
}

func storeOf(s *ike.Store) storedEdits {
	out := storedEdits{Store: s.Path(), Edits: []storedEdit{}}
	for _, r := range s.Requests() {
		out.Edits = append(out.Edits, storedEdit{r.ID, r.Prompt, r.Subject, r.Target})
	}
	return out
}

func (s storedEdits) print(w io.Writer) error {
	if len(s.Edits) == 0 {
		_, err := fmt.Fprintf(w, "%s holds no edits\n", s.Store)
		return err
	}
	t := &report.Table{Columns: []report.Column{{Name: "id"}, {Name: "prompt"}, {Name: "target"}}}
	for _, e := range s.Edits {
		t.Add(report.Text(e.ID), report.Text(oneLine(e.Prompt)), report.Text(oneLine(e.Target)))
	}
	return showTable(w, t)
}

// existingStore opens a store that has to be there.
func existingStore(path string) (*ike.Store, error) {
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
	return nil, fmt.Errorf("%s is no edit store that keyhole can read: %w; name another file (keyhole edit --editor ike … --keep FILE%s makes one)", path, why, storeExt)
}

// storeWith is a store with requests added, to be saved. The number that the
// command line gives its only edit is not its name there.
func storeWith(path string, requests []edit.Request) (*ike.Store, error) {
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

// keepIn adds requests to a store and saves it, while nobody else does.
func keepIn(path string, requests []edit.Request) (err error) {
	held, err := lock.Beside(path)
	if err != nil {
		return fmt.Errorf("edit store: %w", err)
	}
	defer func() { err = errorAfter(err, held.Unlock()) }()
	s, err := storeWith(path, requests)
	if err == nil {
		err = s.Save()
	}
	return err
}

// unstore takes edits, by id, out of a store.
func unstore(path string, ids []string) (_ *ike.Store, err error) {
	held, err := lock.Beside(path)
	if err != nil {
		return nil, fmt.Errorf("edit store: %w", err)
	}
	defer func() { err = errorAfter(err, held.Unlock()) }()
	s, err := existingStore(path)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := s.Remove(id); err != nil {
			return nil, fmt.Errorf("%w; see: keyhole edits list %s", err, shell(path))
		}
	}
	return s, s.Save()
}

// recalled is what an edit store put in front of a prompt.
type recalled struct {
	context string
	use     ike.Use
}

// recall asks an in-context editor for the context of a prompt, from the edits
// of a store.
func recall(ctx context.Context, b *workbench.Bench, path, editor, prompt string, set []string) (*recalled, error) {
	if names := catalog.InContext(); !slices.Contains(names, editor) {
		return nil, wrongUse("editor %s puts nothing in front of prompts; use one of %s", editor, strings.Join(names, ", "))
	}
	s, err := existingStore(path)
	if err != nil {
		return nil, err
	}
	requests := s.Requests()
	if len(requests) == 0 {
		return &recalled{}, nil
	}
	if err := b.Use(ctx, editor, append(slices.Clone(set), "memory="+ike.StoreMemory)); err != nil {
		return nil, err
	}
	inContext := b.Editor.(*ike.Editor)
	var r recalled
	inContext.OnContext = func(u ike.Use) { r.use = u }
	e, err := inContext.Apply(ctx, b.Model, requests)
	if err != nil {
		return nil, err
	}
	r.context, err = e.Context(prompt)
	return &r, err
}
