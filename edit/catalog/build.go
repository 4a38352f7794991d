package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/alphaedit"
	"keyhole.example/keyhole/edit/ft"
	"keyhole.example/keyhole/edit/gated"
	"keyhole.example/keyhole/edit/grace"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/edit/memit"
	"keyhole.example/keyhole/edit/nearest"
	"keyhole.example/keyhole/edit/rome"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/edit/wise"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Ingredients are what editors are made of beside their configuration. Model
// and Engine are needed; the others are asked for by the editors that use them.
type Ingredients struct {
	Model  *lm.Model
	Engine *kernel.Engine
	// Moments gives the second moments of what enters a layer, and the hash of
	// the text that they were collected from.
	Moments func(ctx context.Context) (source stats.Source, corpus string, err error)
	// Demos gives the edits that demonstrations are made of.
	Demos func() (*data.Set, error)
	// Trained opens the editor of a run folder onto Model, and what identifies it.
	Trained func(dir string) (e edit.Editor, fingerprint string, err error)
}

// Made identifies an editor by all that it was made of, files by their content.
// A field that is added later is left out of the JSON where it is empty, so that
// older identities stay.
type Made struct {
	Editor                 string
	Config                 any
	Corpus, Demos, Encoder string // hashes; "": not used
}

// Hash identifies what an editor was made of. It is empty for the zero Made: a
// trained editor, which identifies itself.
func (m Made) Hash() (string, error) {
	if m.Editor == "" {
		return "", nil
	}
	raw, err := configs.Identity(m)
	if err != nil {
		return "", fmt.Errorf("config of editor %s: %w", m.Editor, err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// Built is an editor with what it was made of.
type Built struct {
	Editor  edit.Editor
	Made    Made
	closers []func() error
}

// Close releases what the editor holds open.
func (b *Built) Close() error {
	var errs []error
	for _, f := range b.closers {
		errs = append(errs, f())
	}
	b.closers = nil
	return errors.Join(errs...)
}

// Build makes the editor with a configuration that Config gave.
func (e Entry) Build(ctx context.Context, in Ingredients, config any) (*Built, error) {
	b := &Built{Made: Made{Editor: e.Name, Config: config}}
	if err := e.make(ctx, in, config, b); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func makeNone(_ context.Context, _ Ingredients, _ any, b *Built) error {
	b.Editor = unedited{}
	return nil
}

func makeROME(ctx context.Context, in Ingredients, config any, b *Built) error {
	moments, err := b.moments(ctx, in)
	if err != nil {
		return err
	}
	b.Editor, err = rome.New(in.Engine, *config.(*rome.Config), moments)
	return err
}

func makeMEMIT(ctx context.Context, in Ingredients, config any, b *Built) error {
	moments, err := b.moments(ctx, in)
	if err != nil {
		return err
	}
	b.Editor, err = memit.New(in.Engine, *config.(*memit.Config), moments)
	return err
}

func makeAlphaEdit(ctx context.Context, in Ingredients, config any, b *Built) error {
	moments, err := b.moments(ctx, in)
	if err != nil {
		return err
	}
	b.Editor, err = alphaedit.New(in.Engine, *config.(*alphaedit.Config), moments)
	return err
}

// moments asks for statistics and notes their text.
func (b *Built) moments(ctx context.Context, in Ingredients) (stats.Source, error) {
	if in.Moments == nil {
		return nil, fmt.Errorf("editor %s needs statistics of the layers' inputs; give a source of them", b.Made.Editor)
	}
	source, corpus, err := in.Moments(ctx)
	b.Made.Corpus = corpus
	return source, err
}

func makeFT(_ context.Context, in Ingredients, config any, b *Built) error {
	var err error
	b.Editor, err = ft.New(*config.(*ft.Config), in.Engine)
	return err
}

func makeGRACE(_ context.Context, in Ingredients, config any, b *Built) error {
	cfg := *config.(*grace.Config)
	var pool []data.Edit
	var err error
	switch {
	case cfg.Eps == 0:
		pool, err = b.unrelated(in)
	case in.Demos != nil: // only to refuse a radius that holds every prompt
		var set *data.Set
		if set, err = in.Demos(); err == nil {
			pool = set.Edits
		}
	}
	if err != nil {
		return err
	}
	b.Editor, err = grace.New(cfg, in.Engine, pool)
	return err
}

// unrelated are edits whose prompts distances are measured by.
func (b *Built) unrelated(in Ingredients) ([]data.Edit, error) {
	if in.Demos == nil {
		return nil, fmt.Errorf("editor %s measures distances to other prompts; give a source of edits", b.Made.Editor)
	}
	set, err := in.Demos()
	if err != nil {
		return nil, err
	}
	b.Made.Demos, err = set.Hash()
	return set.Edits, err
}

func makeNearest(ctx context.Context, in Ingredients, config any, b *Built) error {
	cfg := *config.(*nearestConfig)
	moments, err := b.moments(ctx, in)
	if err != nil {
		return err
	}
	values, err := rome.New(in.Engine, cfg.ROME, moments)
	if err != nil {
		return err
	}
	pool, err := b.unrelated(in)
	if err != nil {
		return err
	}
	b.Editor, err = nearest.New(values, cfg.Settings, in.Engine, pool)
	return err
}

func makeGated(ctx context.Context, in Ingredients, config any, b *Built) error {
	cfg := *config.(*gatedConfig)
	var inner edit.Editor
	switch cfg.Editor {
	case "rome":
		cfg.Learned = gated.Learned{}
		moments, err := b.moments(ctx, in)
		if err != nil {
			return err
		}
		if inner, err = rome.New(in.Engine, cfg.ROME, moments); err != nil {
			return err
		}
	default:
		if in.Trained == nil {
			return fmt.Errorf("editor %s is to keep the edits of %s, but no run can be opened here; use rome", b.Made.Editor, cfg.Editor)
		}
		var fingerprint string
		var err error
		if inner, fingerprint, err = in.Trained(cfg.Editor); err != nil {
			return fmt.Errorf("editor %s: editor %s: %w", b.Made.Editor, cfg.Editor, err)
		}
		named := cfg
		named.Editor = "trained " + fingerprint // where its folder lies changes no result
		b.Made.Config = &named
	}
	pool, err := b.unrelated(in)
	if err != nil {
		return err
	}
	b.Editor, err = gated.New(inner, cfg.Settings, in.Engine, pool)
	return err
}

func makeWISE(_ context.Context, in Ingredients, config any, b *Built) error {
	pool, err := b.unrelated(in)
	if err != nil {
		return err
	}
	b.Editor, err = wise.New(*config.(*wise.Config), in.Engine, pool)
	return err
}

func makeIKE(ctx context.Context, in Ingredients, config any, b *Built) error {
	cfg := *config.(*ike.Config)
	named := cfg
	named.Encoder, named.Cache = "", "" // where its files lie changes no result
	b.Made.Config = &named
	// in a short context, what is asked takes a third at most
	cfg.QueryTokens = min(cfg.QueryTokens, max(1, in.Model.Limit()*5/16))
	cfg.AnswerTokens = min(cfg.AnswerTokens, max(1, in.Model.Limit()/16))
	if in.Demos == nil {
		return fmt.Errorf("editor %s needs edits to make demonstrations of; give a source of them", b.Made.Editor)
	}
	pool, err := in.Demos()
	if err != nil {
		return err
	}
	if b.Made.Demos, err = pool.Hash(); err != nil {
		return err
	}
	enc, err := cfg.OpenEncoder(in.Engine)
	if err != nil {
		return err
	}
	if enc != nil {
		b.closers = append(b.closers, enc.Close)
		b.Made.Encoder = enc.Hash()
	}
	b.Editor, err = ike.New(ctx, cfg, pool.Edits, enc)
	return err
}
