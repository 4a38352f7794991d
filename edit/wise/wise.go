package wise

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// Editor makes edits by WISE. It is for one goroutine at a time.
type Editor struct {
	k        *kernel.Engine
	cfg      Config
	pool     []data.Edit // unrelated texts
	contexts keyvalue.ContextCache
}

var (
	_ edit.Continuer = (*Editor)(nil)
	_ edit.Opener    = (*Editor)(nil)
)

// New returns an editor that computes with k. pool are edits whose texts have
// nothing to do with those to come.
func New(cfg Config, k *kernel.Engine, pool []data.Edit) (*Editor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("wise: %w", err)
	}
	if len(pool) == 0 {
		return nil, errors.New("wise: there are no unrelated texts; name edits for demonstrations")
	}
	return &Editor{k: k, cfg: cfg, pool: pool}, nil
}

// Name implements edit.Editor.
func (ed *Editor) Name() string { return "wise" }

// Apply implements edit.Editor: side memories of the requests, one after the
// other.
func (ed *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	return ed.Continue(ctx, m, nil, requests)
}

// Continue implements edit.Continuer: the side memories of last go on.
func (ed *Editor) Continue(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	out, err := ed.apply(ctx, m, last, requests)
	if err != nil {
		return nil, fmt.Errorf("wise: %w", err)
	}
	return out, nil
}

func (ed *Editor) apply(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	if len(requests) == 0 {
		return nil, errors.New("there is nothing to edit")
	}
	site, err := ed.cfg.Site(m)
	if err != nil {
		return nil, err
	}
	memory, err := ed.begin(m, site, last)
	if err != nil {
		return nil, err
	}
	contexts, err := ed.contexts.Of(m, ed.k, ed.cfg.Contexts)
	if err != nil {
		return nil, err
	}
	out := &edit.Edited{Editor: ed.Name(), Requests: slices.Clone(requests)}
	for i := range requests {
		r := requests[i]
		if err := r.Validate(false); err != nil {
			return nil, &edit.RequestError{ID: r.ID, Err: err}
		}
		if c := ed.cfg.Capacity; c > 0 && len(memory.Requests) >= c {
			return nil, &edit.RequestError{ID: r.ID, Err: fmt.Errorf("edit %s: the side memories are full: they hold %d edits, as many as capacity allows; begin a new sequence, or allow more", r.ID, c)}
		}
		texts, err := ed.texts(m, r, contexts, len(memory.Requests))
		if err != nil {
			return nil, &edit.RequestError{ID: r.ID, Err: fmt.Errorf("edit %s: %w", r.ID, err)}
		}
		t, err := ed.trainer(m, site, memory, texts, ed.mask(site, len(memory.Requests)))
		if err != nil {
			return nil, fmt.Errorf("edit %s: %w", r.ID, err)
		}
		losses, distance, err := t.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("edit %s: %w", r.ID, err)
		}
		if memory, err = t.into(memory, r, distance); err != nil {
			return nil, err
		}
		add := func(name string, value any) { out.Add(fmt.Sprintf("%s[%d]", name, i), value) }
		add("steps", len(losses))
		add("loss_first", losses[0])
		add("loss", losses[len(losses)-1])
		add("distance", distance)
	}
	out.Add("edits", len(memory.Requests))
	out.Add("memories", len(memory.saved))
	out.Memory = memory
	return out, nil
}

// rules are those of the config.
func (c *Config) rules() Rules {
	r := Rules{c.ActRatio, c.MaskRatio, c.Save, c.Merge, c.Density, c.Retrieve, c.Seed, c.Compat, c.Algorithm}
	if r.Algorithm == tiesName { // as files were before there was a choice
		r.Algorithm = ""
	}
	return r
}

// begin is last's memory, or an empty one.
func (ed *Editor) begin(m *lm.Model, site lm.Site, last *edit.Edited) (*Memory, error) {
	hash, err := m.Hash()
	if err != nil {
		return nil, err
	}
	b := &Memory{
		Model: hash, Layer: site.Name, In: site.Linear.In, Out: site.Linear.Out, Rules: ed.cfg.rules(),
		Activation: m.Config.Activation.String(), kind: m.Config.Activation, fresh: side{threshold: never},
	}
	if last == nil {
		return b, b.holdMatrix(site.Linear)
	}
	old, ok := last.Memory.(*Memory)
	switch {
	case !ok:
		return nil, fmt.Errorf("the edit before, by %s, has no side memories; begin a new sequence", last.Editor)
	case !lm.OfOneModel(old.Model, b.Model):
		return nil, fmt.Errorf("the side memories are of %w; begin new ones", &lm.OtherModelError{Recorded: old.Model, Hash: b.Model})
	case old.Layer != b.Layer:
		return nil, fmt.Errorf("the side memories are of %s, not %s; set layer as it was, or begin new ones", old.Layer, b.Layer)
	case old.Rules != b.Rules:
		return nil, fmt.Errorf("the side memories were made with %+v, not %+v; set them as they were, or begin new ones", old.Rules, b.Rules)
	}
	return old, nil
}

// texts are the request in every context, the bare one first, and an unrelated
// text.
func (ed *Editor) texts(m *lm.Model, r edit.Request, contexts []string, number int) ([]text.Text, error) {
	var out []text.Text
	for _, c := range append([]string{""}, contexts...) {
		t, err := text.Ask(m, c+r.Prompt, r.Target, r.Join)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	rng := rand.New(rand.NewPCG(ed.cfg.Seed, uint64(number)))
	for range 100 {
		e := &ed.pool[rng.IntN(len(ed.pool))]
		if e.Prompt == r.Prompt || r.Subject != "" && e.Subject == r.Subject {
			continue
		}
		ids := text.Prompt(m.Tokenizer, e.Prompt)
		if len(ids) > 0 && m.CheckLength(len(ids)) == nil {
			return append(out, text.Text{IDs: ids, Labels: slices.Repeat([]int32{-1}, len(ids))}), nil
		}
	}
	return nil, errors.New("no unrelated text fits; name other edits for demonstrations")
}

// mask draws which stored entries the shard of an edit may change.
func (ed *Editor) mask(site lm.Site, edits int) []bool {
	const stream = 0x6d61736b
	rng := rand.New(rand.NewPCG(ed.cfg.Seed^stream, uint64(edits/ed.cfg.Save)))
	out := make([]bool, site.Linear.W.Len())
	for i := range out {
		out[i] = rng.Float64() < ed.cfg.MaskRatio
	}
	return out
}

// trainer begins at the memory's fresh side.
func (ed *Editor) trainer(m *lm.Model, site lm.Site, memory *Memory, texts []text.Text, mask []bool) (*trainer, error) {
	base, err := site.Linear.W.Values()
	if err != nil {
		return nil, err
	}
	weight := slices.Clone(base)
	if c := memory.fresh.change; c != nil {
		for i := range weight {
			weight[i] += c[stored(site.Linear, i)]
		}
	}
	return newTrainer(m, ed.k, site, ed.cfg, texts, weight, mask)
}

// stored is where entry i of the stored weight stands in [out, in].
func stored(l *nn.Linear, i int) int {
	if !l.InOut {
		return i
	}
	return i%l.Out*l.In + i/l.Out
}

// into is the memory after the edit that was trained.
func (t *trainer) into(memory *Memory, r edit.Request, distance float64) (*Memory, error) {
	w, err := t.weight.Values()
	if err != nil {
		return nil, err
	}
	change := make([]float32, len(w))
	for i, v := range w {
		change[stored(t.site.Linear, i)] = v - t.start[i]
	}
	return memory.with(r, change, distance)
}

// Open implements edit.Opener.
func (ed *Editor) Open(_ context.Context, m *lm.Model, p edit.Packed) (edit.Memory, error) {
	out, err := Open(m, p)
	if err != nil {
		return nil, fmt.Errorf("wise: %w", err)
	}
	return out, nil
}
