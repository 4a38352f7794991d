package nearest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
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
	k     *kernel.Engine
	cfg   Settings
	pool  []data.Edit
	rows  map[string][]kernel.Matrix // of the pool's prompts by layer, unit length
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
	if len(pool) == 0 {
		return nil, errors.New("nearest: there are no prompts to measure thresholds by; name edits for demonstrations")
	}
	return &Editor{inner: inner, k: k, cfg: cfg, pool: pool, rows: map[string][]kernel.Matrix{}}, nil
}

// Name implements edit.Editor.
func (ed *Editor) Name() string { return "nearest" }

// Apply implements edit.Editor: a store of the requests.
func (ed *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	return ed.Continue(ctx, m, nil, requests)
}

// Continue implements edit.Continuer: the store of last with more edits.
func (ed *Editor) Continue(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	if len(requests) == 0 {
		return nil, errors.New("nearest: there is nothing to edit")
	}
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
	var errs []error
	for i := range requests {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("nearest: %w", err)
		}
		if c := ed.cfg.Capacity; c > 0 && len(store.Entries) >= c && !store.has(requests[i].Prompt) {
			errs = append(errs, &edit.RequestError{ID: requests[i].ID, Err: fmt.Errorf("nearest: edit %s: the store is full: it holds %d edits, as many as capacity allows; take some out with keyhole edits remove, or allow more", requests[i].ID, c)})
			continue
		}
		e, layer, err := ed.one(ctx, m, requests[i])
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, fmt.Errorf("nearest: %w", err)
		case err != nil:
			errs = append(errs, &edit.RequestError{ID: requests[i].ID, Err: fmt.Errorf("nearest: %w", err)})
			continue
		case store.Layer != "" && store.Layer != layer:
			return nil, fmt.Errorf("nearest: the store stands behind %s, the edit is of %s; edit the same layer, or begin a new sequence", store.Layer, layer)
		}
		store = &Store{Model: store.Model, Layer: layer, Entries: store.Entries}
		store = store.with(*e)
		out.Add(fmt.Sprintf("threshold[%d]", i), e.Threshold)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
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
	inputs, err := ed.inputs(m, c.Weight, r.Prompt)
	if err != nil {
		return nil, "", err
	}
	e := &Entry{ID: r.ID, Prompt: r.Prompt, Subject: r.Subject, Target: r.Target}
	most := 0.0
	for i := range inputs.Rows { // where the change answers most
		x := inputs.Data[i*inputs.Cols : (i+1)*inputs.Cols]
		v := change(c.Delta, x)
		if n := norm(v); n > most {
			most, e.Value, e.Key = n, v, unit(x)
		}
	}
	if e.Key == nil {
		return nil, "", errors.New("the change answers nothing in its own prompt")
	}
	nearest, like, err := ed.unrelated(m, c.Weight, r, e.Key)
	if err != nil {
		return nil, "", err
	}
	const least = 1e-6 // nothing nearer can be told apart in float32
	if nearest > 1-least {
		return nil, "", fmt.Errorf("edit %s: its key is that of the prompt %q too, so the two cannot be told apart at %s; edit another layer or token", r.ID, like, c.Weight)
	}
	e.Threshold = nearest + ed.cfg.Margin*(1-nearest)
	return e, c.Weight, nil
}

// change is Δ·x = Scale·Dᵀ·(U·x).
func change(d *nn.Delta, x []float32) []float32 {
	out := make([]float32, d.D.Cols)
	for r := range d.U.Rows {
		s := dot(d.U.Data[r*d.U.Stride:r*d.U.Stride+d.U.Cols], x) * float64(d.Scale)
		for c := range out {
			out[c] += float32(s * float64(d.D.Data[r*d.D.Stride+c]))
		}
	}
	return out
}

func unit(x []float32) []float32 {
	out, n := slices.Clone(x), norm(x)
	for i := range out {
		out[i] = float32(float64(out[i]) / n)
	}
	return out
}

// inputs are the layer's in a prompt, [tokens, in].
func (ed *Editor) inputs(m *lm.Model, weight, prompt string) (kernel.Matrix, error) {
	var out kernel.Matrix
	ids := text.Prompt(m.Tokenizer, prompt)
	if err := m.CheckLength(len(ids)); err != nil {
		return out, err
	}
	o := eager.New(ed.k)
	o.OnLinear = func(l *nn.Linear, x, _ kernel.Matrix) {
		if l.W.Name == weight {
			out = kernel.Mat(slices.Clone(x.Data[:x.Rows*x.Cols]), x.Rows, x.Cols)
		}
	}
	lm.Forward[kernel.Matrix](o, m, &nn.IDs{V: ids}, nn.Pack(len(ids)), nil)
	if err := o.Err(); err != nil {
		return out, err
	}
	if out.Data == nil {
		return out, fmt.Errorf("%s is no linear layer of the model", weight)
	}
	return out, nil
}

// unrelated is the largest cosine of a row of the pool to a key, and the prompt
// that has it. Prompts of the request's own subject are related.
func (ed *Editor) unrelated(m *lm.Model, weight string, r edit.Request, key []float32) (nearest float64, like string, err error) {
	pool := ed.pool[:min(len(ed.pool), ed.cfg.Negatives)]
	if ed.rows[weight] == nil {
		list := make([]kernel.Matrix, len(pool))
		for i := range pool {
			x, err := ed.inputs(m, weight, pool[i].Prompt)
			if err != nil {
				continue // too long: others do
			}
			for r := range x.Rows {
				if row := x.Data[r*x.Cols : (r+1)*x.Cols]; norm(row) > 0 {
					copy(row, unit(row))
				}
			}
			list[i] = x
		}
		ed.rows[weight] = list
	}
	nearest = math.Inf(-1)
	for i, x := range ed.rows[weight] {
		if pool[i].Prompt == r.Prompt || r.Subject != "" && pool[i].Subject == r.Subject {
			continue
		}
		for j := range x.Rows {
			if c := dot(key, x.Data[j*x.Cols:(j+1)*x.Cols]); c > nearest {
				nearest, like = c, pool[i].Prompt
			}
		}
	}
	if math.IsInf(nearest, -1) {
		return 0, "", errors.New("there is no unrelated prompt to measure the threshold by; name other edits for demonstrations")
	}
	return nearest, like, nil
}

// Open implements edit.Opener.
func (ed *Editor) Open(_ context.Context, m *lm.Model, p edit.Packed) (edit.Memory, error) {
	s, err := Open(m, p)
	if err != nil {
		return nil, fmt.Errorf("nearest: %w", err)
	}
	return s, nil
}
