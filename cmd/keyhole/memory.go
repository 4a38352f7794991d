package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/serac"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/workbench"
)

// goOn puts the edits of files, a sequence in its order, into the bench's model
// and returns the last of them with its memory opened; nil: there is none. undo
// takes them out again.
func goOn(c *cobra.Command, b *workbench.Bench, files []string) (last *edit.Edited, undo func(), err error) {
	var undos []func()
	undo = func() {
		for _, u := range slices.Backward(undos) {
			u()
		}
	}
	for _, path := range files {
		k, err := edit.ReadFile(path)
		if err != nil {
			return nil, undo, err
		}
		if err := ownEdits(c.ErrOrStderr(), b.Model, k); err != nil {
			return nil, undo, err
		}
		u, err := k.Edited.Install(b.Model, b.Engine)
		if err != nil {
			return nil, undo, fmt.Errorf("%s: %w", path, err)
		}
		undos = append(undos, u)
		if opener, ok := b.Editor.(edit.Opener); ok && k.Edited.Memory != nil {
			p, err := k.Edited.Memory.Pack()
			if err != nil {
				return nil, undo, err
			}
			if k.Edited.Memory, err = opener.Open(c.Context(), b.Model, p); err != nil {
				return nil, undo, fmt.Errorf("%s: %w", path, err)
			}
		}
		if err := edit.Follows(last, k.Edited); err != nil {
			return nil, undo, fmt.Errorf("%s: %w; name the files of a sequence in its order", path, err)
		}
		last = k.Edited
	}
	return last, undo, nil
}

// lastMemory is the memory of an edit; nil: none.
func lastMemory(e *edit.Edited) edit.Memory {
	if e == nil {
		return nil
	}
	return e.Memory
}

// freeID is the lowest number that is no edit's ID in a memory.
func freeID(list edit.Lister) string {
	requests := list.Requests()
	for n := 1; ; n++ {
		id := fmt.Sprint(n)
		if !slices.ContainsFunc(requests, func(r edit.Request) bool { return r.ID == id }) {
			return id
		}
	}
}

// ownEdits fails unless edits are those of a base model; w takes notes.
func ownEdits(w io.Writer, m *lm.Model, kept ...*edit.Kept) error {
	for _, k := range kept {
		note, err := m.Owns(k.Model)
		if err != nil {
			return fmt.Errorf("%s is an edit of %w; give the model that it was made for", k.Path, err)
		}
		if note != "" {
			fmt.Fprintf(w, "note: %s: %s\n", k.Path, note)
		}
	}
	return nil
}

// intercept puts the edits of files in front of a model that is to continue a
// text: their weights, and the memory of the last. responder, if not nil, has some
// prompts answered by another model; close gives back what it needs.
func intercept(c *cobra.Command, b *workbench.Bench, o *eager.Ops, files []string) (responder edit.Responder, close func() error, err error) {
	close = func() error { return nil }
	for _, path := range files {
		k, err := edit.ReadFile(path)
		if err != nil {
			return nil, close, err
		}
		if err := ownEdits(c.ErrOrStderr(), b.Model, k); err != nil {
			return nil, close, err
		}
		err = catalog.Revive(b.Model, k.Edited)
		if errors.Is(err, catalog.ErrNeedsRun) {
			responder, close, err = openRun(c, b, k, close)
		}
		if err != nil {
			return nil, close, fmt.Errorf("%s: %w", path, err)
		}
		if _, err := k.Edited.Install(b.Model, b.Engine); err != nil {
			return nil, close, fmt.Errorf("%s: %w", path, err)
		}
		if a := k.Edited.AdapterOf(); a != nil {
			edit.InterceptText(o, a)
		}
	}
	return responder, close, nil
}

// openRun opens the memory of an edit by the run that made it; before closes what
// was open.
func openRun(c *cobra.Command, b *workbench.Bench, k *edit.Kept, before func() error) (edit.Responder, func() error, error) {
	p, err := k.Edited.Memory.Pack()
	if err != nil {
		return nil, before, err
	}
	m, err := serac.Unpack(p)
	if err != nil {
		return nil, before, err
	}
	run, err := workbench.OpenTrained(m.Run, b.Base, 0)
	if err != nil {
		return nil, before, fmt.Errorf("an edit by %s is answered by the run that made it: %w", k.Edited.Editor, err)
	}
	closed := func() error { return errors.Join(before(), run.Close()) }
	opener, ok := run.Editor.(edit.Opener)
	if !ok {
		return nil, closed, fmt.Errorf("%s is no run of %s", m.Run, k.Edited.Editor)
	}
	memory, err := opener.Open(c.Context(), run.Model, p)
	if err != nil {
		return nil, closed, err
	}
	return memory.(edit.Responder), closed, nil
}

// forget takes edits out of a file that holds a memory of them.
func forget(path string, ids []string) (_ *edit.Kept, err error) {
	held, err := lock.Beside(path)
	if err != nil {
		return nil, fmt.Errorf("edit file: %w", err)
	}
	defer func() { err = errorAfter(err, held.Unlock()) }()
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
			return nil, fmt.Errorf("%s: %w; see: keyhole edits list %s", path, err, shell(path))
		}
		list = m.(edit.Lister)
	}
	k.Edited.Memory, k.Edited.Requests = list, list.Requests()
	return k, edit.WriteFile(path, k.Edited, k.Model)
}
