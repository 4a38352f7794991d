package catalog

import (
	"errors"
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/gated"
	"keyhole.example/keyhole/edit/grace"
	"keyhole.example/keyhole/edit/nearest"
	"keyhole.example/keyhole/edit/serac"
	"keyhole.example/keyhole/edit/wise"
	"keyhole.example/keyhole/lm"
)

// memoryKind is what stands behind a layer and has a file of its own.
type memoryKind struct {
	name   string
	open   func(*lm.Model, edit.Packed) (edit.Adapter, error) // nil: it needs the run that made it
	unpack func(edit.Packed) (edit.Lister, error)             // nil: its edits cannot be taken out one by one
}

// memoryKinds lists them: the one place to register another.
func memoryKinds() []memoryKind {
	return []memoryKind{
		{gated.Kind,
			func(m *lm.Model, p edit.Packed) (edit.Adapter, error) { return gated.Open(m, p) },
			func(p edit.Packed) (edit.Lister, error) { return gated.Unpack(p) }},
		{grace.Kind,
			func(m *lm.Model, p edit.Packed) (edit.Adapter, error) { return grace.Open(m, p) },
			func(p edit.Packed) (edit.Lister, error) { return grace.Unpack(p) }},
		{nearest.Kind,
			func(m *lm.Model, p edit.Packed) (edit.Adapter, error) { return nearest.Open(m, p) },
			func(p edit.Packed) (edit.Lister, error) { return nearest.Unpack(p) }},
		{serac.Kind, nil, func(p edit.Packed) (edit.Lister, error) { return serac.Unpack(p) }},
		{wise.Kind, func(m *lm.Model, p edit.Packed) (edit.Adapter, error) { return wise.Open(m, p) }, nil},
	}
}

// packedKind is the memory's content and kind; ok is false where it is none of
// memoryKinds.
func packedKind(e *edit.Edited) (p edit.Packed, kind memoryKind, ok bool, err error) {
	if p, err = e.Memory.Pack(); err != nil {
		return p, kind, false, err
	}
	list := memoryKinds()
	i := slices.IndexFunc(list, func(k memoryKind) bool { return k.name == p.Kind })
	if i < 0 {
		return p, kind, false, nil
	}
	return p, list[i], true, nil
}

// Revive opens the memory of an edit that was read from a file, where it stands
// behind a layer of m; other memories are opened by the editor that goes on from
// them. A memory of another model is an error.
func Revive(m *lm.Model, e *edit.Edited) error {
	if e.Memory == nil || e.AdapterOf() != nil || e.ResponderOf() != nil {
		return nil
	}
	p, kind, ok, err := packedKind(e)
	switch {
	case err != nil:
		return err
	case !ok && len(e.Changes) > 0:
		return nil
	case !ok:
		return fmt.Errorf("an edit by %s: its memory is of the kind %q, which this program does not know; use a later keyhole", e.Editor, p.Kind)
	}
	if kind.open == nil {
		return fmt.Errorf("an edit by %s: its memory is of texts, which the networks of a run answer by: %w", e.Editor, ErrNeedsRun)
	}
	a, err := kind.open(m, p)
	if err != nil {
		return fmt.Errorf("an edit by %s: %w", e.Editor, err)
	}
	e.Memory = a
	return nil
}

// ErrNeedsRun says that a memory is opened by a trained editor alone.
var ErrNeedsRun = errors.New("open it with that run")

// ErrNotListed says that a memory's edits cannot be named one by one.
var ErrNotListed = errors.New("its edits cannot be told apart")

// Listed opens the memory of an edit that was read from a file so that its edits
// can be listed and taken out; ErrNotListed where that cannot be.
func Listed(e *edit.Edited) (edit.Lister, error) {
	if e.Memory == nil {
		return nil, ErrNotListed
	}
	p, kind, ok, err := packedKind(e)
	if err != nil {
		return nil, err
	}
	if !ok || kind.unpack == nil {
		return nil, ErrNotListed
	}
	return kind.unpack(p)
}
