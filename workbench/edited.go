package workbench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/lm"
)

// Given is the name of the editor that stands for edits made elsewhere.
const Given = "given"

// given is the editor whose every edit is the one that another model has.
type given struct{ changes []edit.Change }

func (given) Name() string { return Given }

func (g given) Apply(_ context.Context, _ *lm.Model, r []edit.Request) (*edit.Edited, error) {
	return &edit.Edited{Editor: Given, Requests: r, Changes: g.changes}, nil
}

// OpenEdited loads a base model with the edit that a model has which was edited
// elsewhere, by whatever method: all weights that differ from the base model's.
func OpenEdited(base, edited string, threads int, opts lm.LoadOptions) (*Bench, error) {
	b, err := Open(base, threads, opts)
	if err != nil {
		return nil, err
	}
	if err := b.takeFrom(edited, opts); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Bench) takeFrom(path string, opts lm.LoadOptions) error {
	m, err := LoadModel(path, opts)
	if err != nil {
		return err
	}
	defer m.Close()
	if len(m.Params()) != len(b.Model.Params()) {
		return fmt.Errorf("%s has %d weights and the base model %s %d; name the model that it was edited from", path, len(m.Params()), b.Base, len(b.Model.Params()))
	}
	var g given
	for _, p := range b.Model.Params() {
		other, ok := m.Param(p.Name)
		if !ok || other.Rows != p.Rows || other.Cols != p.Cols {
			return fmt.Errorf("%s has no weight %s of the base model's shape %d × %d; name the model that it was edited from", path, p.Name, p.Rows, p.Cols)
		}
		was, err := p.Values()
		if err != nil {
			return err
		}
		now, err := other.Values()
		if err != nil {
			return err
		}
		if !slices.Equal(was, now) {
			g.changes = append(g.changes, edit.Change{Weight: p.Name, Values: slices.Clone(now)})
		}
	}
	hash, err := m.Hash()
	if err != nil {
		return err
	}
	b.Editor, b.Made = g, catalog.Made{Editor: Given, Config: struct{ Model string }{hash}}
	return nil
}
