package workbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/kept"
	"keyhole.example/keyhole/edit/serac"
	"keyhole.example/keyhole/nn/eager"
)

// GoOn puts the edits of files, a sequence in its order, into the bench's model and
// returns the last of them with its memory opened by the bench's editor; nil: there
// is none. undo takes them out again, also after an error. notes takes what is taken
// for granted.
func (b *Bench) GoOn(ctx context.Context, files []string, notes io.Writer) (last *edit.Edited, undo func(), err error) {
	var undos []func()
	undo = func() {
		for _, u := range slices.Backward(undos) {
			u()
		}
	}
	for _, path := range files {
		k, err := b.read(path, notes)
		if err != nil {
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
			if k.Edited.Memory, err = opener.Open(ctx, b.Model, p); err != nil {
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

// read reads an edit file of the bench's model.
func (b *Bench) read(path string, notes io.Writer) (*edit.Kept, error) {
	k, err := edit.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return k, kept.Own(notes, b.Model, k)
}

// intercept puts the edits of files in front of a model that is to continue a text:
// their weights, and the memory of the last. responder, if not nil, has some prompts
// answered by another model.
func (b *Bench) intercept(ctx context.Context, o *eager.Ops, files []string, notes io.Writer) (responder edit.Responder, err error) {
	for _, path := range files {
		k, err := b.read(path, notes)
		if err != nil {
			return nil, err
		}
		err = catalog.Revive(b.Model, k.Edited)
		if errors.Is(err, catalog.ErrNeedsRun) {
			responder, err = b.responder(ctx, k)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if _, err := k.Edited.Install(b.Model, b.Engine); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if a := k.Edited.AdapterOf(); a != nil {
			edit.InterceptText(o, a)
		}
	}
	return responder, nil
}

// responder opens the memory of an edit by the run that made it, which stays open as
// long as the bench.
func (b *Bench) responder(ctx context.Context, k *edit.Kept) (edit.Responder, error) {
	p, err := k.Edited.Memory.Pack()
	if err != nil {
		return nil, err
	}
	m, err := serac.Unpack(p)
	if err != nil {
		return nil, err
	}
	run, err := OpenTrained(m.Run, b.Base, 0)
	if err != nil {
		return nil, fmt.Errorf("an edit by %s is answered by the run that made it: %w", k.Edited.Editor, err)
	}
	b.closers = append(b.closers, run.Close)
	opener, ok := run.Editor.(edit.Opener)
	if !ok {
		return nil, fmt.Errorf("%s is no run of %s", m.Run, k.Edited.Editor)
	}
	memory, err := opener.Open(ctx, run.Model, p)
	if err != nil {
		return nil, err
	}
	return memory.(edit.Responder), nil
}

// freeID is the lowest number that names no edit in the memory of last; ok is false
// where there is no memory whose edits have names.
func freeID(last *edit.Edited) (id string, ok bool) {
	if last == nil {
		return "", false
	}
	list, ok := last.Memory.(edit.Lister)
	if !ok {
		return "", false
	}
	requests := list.Requests()
	for n := 1; ; n++ {
		id = fmt.Sprint(n)
		if !slices.ContainsFunc(requests, func(r edit.Request) bool { return r.ID == id }) {
			return id, true
		}
	}
}
