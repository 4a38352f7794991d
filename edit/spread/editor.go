package spread

import (
	"context"
	"fmt"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Method is what one editor has of its own.
type Method struct {
	Name      string
	Config    keyvalue.Config
	Layers    []int // edited blocks, see Sites
	LossLayer int   // block behind which the head reads; -1: the last
	// System prepares the sites for so many requests behind so many earlier ones,
	// whose keys count as well; what it finds out it adds to the edit's report.
	System func(m *lm.Model, sites []lm.Site, report *edit.Edited, requests, earlier int) (System, error)
	// History: keys of earlier edits count as well, and the edit's go on to the
	// next. Replace: not those of facts that are written anew.
	History, Replace bool
}

// Editor makes edits by a method. It may be used by several goroutines, one model
// at a time each.
type Editor struct {
	k        *kernel.Engine
	method   Method
	contexts keyvalue.ContextCache
}

var (
	_ edit.Continuer = (*Editor)(nil)
	_ edit.Opener    = (*Editor)(nil)
)

// New returns an editor that computes with k.
func New(k *kernel.Engine, m Method) *Editor { return &Editor{k: k, method: m} }

// Name implements edit.Editor.
func (ed *Editor) Name() string { return ed.method.Name }

// Apply implements edit.Editor: one change of each edited weight from all
// requests together.
func (ed *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	return ed.Continue(ctx, m, nil, requests)
}

// Continue implements edit.Continuer: with history, the keys of earlier edits
// stand in the system.
func (ed *Editor) Continue(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	out, err := ed.run(ctx, m, last, requests)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ed.Name(), err)
	}
	return out, nil
}

// Open implements edit.Opener.
func (ed *Editor) Open(_ context.Context, m *lm.Model, p edit.Packed) (edit.Memory, error) {
	sites, err := Sites(m, ed.method.Layers)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ed.Name(), err)
	}
	h, err := open(m, p, sites)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ed.Name(), err)
	}
	return h, nil
}
