package nearest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/byprompt"
	"keyhole.example/keyhole/edit/scope"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// Settings say when an edit answers.
type Settings struct {
	Margin    float64 `yaml:"margin" doc:"threshold of an edit's cosine: this share of the way from the nearest unrelated row to the key itself"`
	Negatives int     `yaml:"negatives" doc:"prompts of other edits that unrelated rows are taken from"`
	Capacity  int     `yaml:"capacity" absent:"0" doc:"edits that a store holds at most; 0: any number"`
}

// DefaultSettings are those that did best on validation edits.
func DefaultSettings() Settings { return Settings{Margin: 0.8, Negatives: 128} }

// Validate checks every field.
func (s *Settings) Validate() error {
	switch {
	case !(s.Margin > 0):
		return fmt.Errorf("margin: %v answers for everything; use a number between 0 and 1", s.Margin)
	case !(s.Margin < 1):
		return fmt.Errorf("margin: %v answers for nothing but the prompt itself; use a number between 0 and 1", s.Margin)
	case s.Capacity < 0:
		return fmt.Errorf("capacity: %d is negative; 0 means any number", s.Capacity)
	case s.Negatives < 1:
		return fmt.Errorf("negatives: %d is not positive", s.Negatives)
	}
	return nil
}

// Editor keeps the edits of another editor in a store. It is for one goroutine at
// a time.
type Editor struct {
	inner edit.Editor
	cfg   Settings
	pool  *scope.Pool
}

var (
	_ edit.Continuer = (*Editor)(nil)
	_ edit.Opener    = (*Editor)(nil)
)

// New returns an editor whose values inner finds. pool are edits whose prompts
// have nothing to do with those to come.
func New(inner edit.Editor, cfg Settings, k *kernel.Engine, pool []data.Edit) (*Editor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("nearest: %w", err)
	}
	prompts, err := scope.New(k, pool, cfg.Negatives)
	if err != nil {
		return nil, fmt.Errorf("nearest: %w", err)
	}
	return &Editor{inner: inner, cfg: cfg, pool: prompts}, nil
}

// Name implements edit.Editor.
func (ed *Editor) Name() string { return "nearest" }

// Apply implements edit.Editor: a store of the requests.
func (ed *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	return ed.Continue(ctx, m, nil, requests)
}

// Continue implements edit.Continuer: the store of last with more edits.
func (ed *Editor) Continue(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	hash, err := m.Hash()
	if err != nil {
		return nil, err
	}
	store := &Store{Model: hash}
	if last != nil {
		old, ok := last.Memory.(*Store)
		switch {
		case !ok:
			return nil, fmt.Errorf("nearest: the edit before, by %s, has no store; begin a new sequence", last.Editor)
		case !lm.OfOneModel(old.Model, hash):
			return nil, fmt.Errorf("nearest: the store is of %w; begin a new one", &lm.OtherModelError{Recorded: old.Model, Hash: hash})
		}
		store = old
	}
	out := &edit.Edited{Editor: ed.Name(), Requests: slices.Clone(requests)}
	layer := store.Layer
	entries, err := byprompt.Grow(ctx, ed.Name(), store.Entries, ed.cfg.Capacity, requests, func(i int, r edit.Request) (Entry, error) {
		e, at, err := ed.one(ctx, m, r)
		switch {
		case err != nil:
			return Entry{}, err
		case layer != "" && layer != at:
			return Entry{}, fmt.Errorf("the store stands behind %s, the edit is of %s; edit the same layer, or %w", layer, at, byprompt.ErrSequence)
		}
		layer = at
		out.Add(fmt.Sprintf("threshold[%d]", i), e.Threshold)
		return *e, nil
	})
	if err != nil {
		return nil, err
	}
	store = &Store{Model: store.Model, Layer: layer, Entries: entries}
	out.Add("edits", len(store.Entries))
	out.Memory = store
	return out, nil
}

// one makes an edit and takes its key and value.
func (ed *Editor) one(ctx context.Context, m *lm.Model, r edit.Request) (*Entry, string, error) {
	made, err := ed.inner.Apply(ctx, m, []edit.Request{r})
	if err != nil {
		return nil, "", err
	}
	if len(made.Changes) != 1 || made.Changes[0].Delta == nil {
		return nil, "", fmt.Errorf("editor %s makes %d changes, not one low-rank change of one layer; its values have no single key", ed.inner.Name(), len(made.Changes))
	}
	c := made.Changes[0]
	inputs, err := ed.pool.Inputs(m, c.Weight, r.Prompt)
	if err != nil {
		return nil, "", err
	}
	e := &Entry{Fact: byprompt.Of(r)}
	most := 0.0
	for i := range inputs.Rows { // where the change answers most
		x := inputs.Data[i*inputs.Cols : (i+1)*inputs.Cols]
		v := change(c.Delta, x)
		if n := kernel.Norm64(v); n > most {
			most, e.Value, e.Key = n, v, scope.Unit(x)
		}
	}
	if e.Key == nil {
		return nil, "", errors.New("the change answers nothing in its own prompt")
	}
	if e.Threshold, err = ed.pool.Threshold(m, c.Weight, r, e.Key, false, ed.cfg.Margin); err != nil {
		return nil, "", err
	}
	return e, c.Weight, nil
}

// change is Δ·x = Scale·Dᵀ·(U·x).
func change(d *nn.Delta, x []float32) []float32 {
	out := make([]float32, d.D.Cols)
	for r := range d.U.Rows {
		s := kernel.Dot64(d.U.Data[r*d.U.Stride:r*d.U.Stride+d.U.Cols], x) * float64(d.Scale)
		for c := range out {
			out[c] += float32(s * float64(d.D.Data[r*d.D.Stride+c]))
		}
	}
	return out
}

// Open implements edit.Opener.
func (ed *Editor) Open(_ context.Context, m *lm.Model, p edit.Packed) (edit.Memory, error) {
	s, err := Open(m, p)
	if err != nil {
		return nil, fmt.Errorf("nearest: %w", err)
	}
	return s, nil
}
