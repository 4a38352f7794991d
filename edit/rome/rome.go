package rome

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// Editor makes edits by ROME. It may be used by several goroutines, one model
// at a time each.
type Editor struct {
	k        *kernel.Engine
	cfg      Config
	moments  stats.Source
	contexts keyvalue.ContextCache
}

var _ edit.Editor = (*Editor)(nil)

// New returns an editor that computes with k. moments may be nil if the config
// uses no covariance.
func New(k *kernel.Engine, c Config, moments stats.Source) (*Editor, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("rome: %w", err)
	}
	if c.Covariance && moments == nil {
		return nil, errors.New("rome: mom2_adjustment needs statistics of the layer's inputs; collect them, or set it to false, which protects other facts less")
	}
	return &Editor{k: k, cfg: c, moments: moments}, nil
}

// Name implements edit.Editor.
func (ed *Editor) Name() string { return "rome" }

// Apply implements edit.Editor: one request after another, each computed in the
// model with the earlier ones made.
func (ed *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	out, err := ed.apply(ctx, m, requests)
	if err != nil {
		return nil, fmt.Errorf("rome: %w", err)
	}
	return out, nil
}

func (ed *Editor) apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := keyvalue.CheckRequests(requests); err != nil {
		return nil, err
	}
	site, err := ed.cfg.EditedSite(m)
	if err != nil {
		return nil, err
	}
	r := &run{ed: ed, m: m, site: site, c: identity{}}
	r.out = &edit.Edited{Editor: ed.Name(), Requests: slices.Clone(requests)}
	r.out.Add("variant", ed.cfg.variant())
	r.out.Add("site", site.Name)
	if err := r.statistics(); err != nil {
		return nil, err
	}
	texts, err := ed.contexts.Of(m, ed.k, ed.cfg.Contexts)
	if err != nil {
		return nil, err
	}
	r.out.Add("contexts", 1+len(texts))
	for i, req := range requests {
		if err := r.one(ctx, req, texts, i); err != nil {
			return nil, err
		}
	}
	return r.out, nil
}

// run is one call of Apply.
type run struct {
	ed    *Editor
	m     *lm.Model
	site  lm.Site
	c     solver
	lefts []float32 // [edits so far, in]
	right []float32 // [edits so far, out]
	out   *edit.Edited
}

// statistics factorises the second moment.
func (r *run) statistics() error {
	if !r.ed.cfg.Covariance {
		r.out.Add("statistics", "none")
		return nil
	}
	moment, err := r.ed.moments.Of(r.m, r.site)
	if err != nil {
		return err
	}
	f, err := moment.Factor(r.ed.cfg.Ridge)
	if err != nil {
		return err
	}
	r.c = f
	r.out.Add("statistics", moment.Origin())
	r.out.Add("ridge", f.Ridge)
	r.out.Add("condition", f.Condition)
	return nil
}

// one makes request number i on top of the earlier ones.
func (r *run) one(ctx context.Context, req edit.Request, contexts []string, i int) (err error) {
	if i > 0 {
		undo, err := r.out.Install(r.m, r.ed.k)
		if err != nil {
			return err
		}
		defer undo()
	}
	f, err := keyvalue.NewFact(r.m, req, contexts, r.ed.cfg.FactToken)
	if err != nil {
		return err
	}
	s, err := r.solve(ctx, f)
	if err == nil {
		s.token = r.m.Tokenizer.Decode(f.Prompts[0].IDs[f.Prompts[0].At : f.Prompts[0].At+1])
		err = r.accept(s, r.named(i), req)
	}
	if err != nil {
		return fmt.Errorf("edit %s: %w", req.ID, err)
	}
	return nil
}

// solution is one solved edit.
type solution struct {
	*update
	value      *keyvalue.Value
	mean, bare []float64 // keys
	k          []float64 // the key of the constraint
	target     []float64 // what shall answer it
	token      string
}

// solve finds the value and the update.
func (r *run) solve(ctx context.Context, f *keyvalue.Fact) (*solution, error) {
	v, err := keyvalue.Optimise(ctx, r.m, r.ed.k, r.site.Block, f, r.ed.cfg.settings())
	if err != nil {
		return nil, err
	}
	keys, values := v.Keys, v.Values
	s := &solution{value: v, mean: keyvalue.Mean(keys, 0), bare: wide(keys.Data[:keys.Cols])}
	direction, y := s.mean, wide(values.Data[:values.Cols])
	s.k, s.target = s.bare, s.value.Target()
	switch r.ed.cfg.KeyMode {
	case RandomPrefix:
		s.k, y = s.mean, keyvalue.Mean(values, 0)
	case Prompt:
		direction = s.bare
	}
	s.update, err = newUpdate(r.c, direction, s.k, y, s.target)
	return s, err
}

// named makes the names of figures of request i.
func (r *run) named(i int) func(string) string {
	return func(name string) string {
		if len(r.out.Requests) == 1 {
			return name
		}
		return fmt.Sprintf("%s[%d]", name, i)
	}
}

// combined is all updates so far as one change.
func (r *run) combined() []edit.Change {
	n := len(r.lefts) / r.site.Linear.In
	return []edit.Change{{Weight: r.site.Name, Delta: &nn.Delta{
		U: kernel.Mat(r.lefts, n, r.site.Linear.In), D: kernel.Mat(r.right, n, r.site.Linear.Out), Scale: 1,
	}}}
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

func narrow(dst []float32, x []float64) []float32 {
	for _, v := range x {
		dst = append(dst, float32(v))
	}
	return dst
}
