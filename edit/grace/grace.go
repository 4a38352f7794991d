package grace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/text"
)

// Kind is the codebook's in edit files.
const Kind = "codebook"

// Editor makes edits by GRACE. It is for one goroutine at a time.
type Editor struct {
	k     *kernel.Engine
	cfg   Config
	pool  []data.Edit          // prompts between which distances are measured
	apart map[string]distances // by layer
}

// distances are what lies between prompts of the pool: the median from one to the
// nearest other one, and the largest of all.
type distances struct{ median, largest float64 }

var (
	_ edit.Continuer = (*Editor)(nil)
	_ edit.Opener    = (*Editor)(nil)
)

// New returns an editor that computes with k. pool are edits whose prompts have
// nothing to do with those to come; it is needed where cfg.Eps is 0, and elsewhere
// tells a radius that answers for everything.
func New(cfg Config, k *kernel.Engine, pool []data.Edit) (*Editor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("grace: %w", err)
	}
	if cfg.Eps == 0 && len(pool) < 2 {
		return nil, errors.New("grace: there are no prompts to measure distances between; name edits for demonstrations, or set eps")
	}
	return &Editor{k: k, cfg: cfg, pool: pool, apart: map[string]distances{}}, nil
}

// Name implements edit.Editor.
func (ed *Editor) Name() string { return "grace" }

// Apply implements edit.Editor: a codebook of the requests, one after the other.
func (ed *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	return ed.Continue(ctx, m, nil, requests)
}

// Continue implements edit.Continuer: the codebook of last goes on.
func (ed *Editor) Continue(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	out, err := ed.apply(ctx, m, last, requests)
	if err != nil {
		return nil, fmt.Errorf("grace: %w", err)
	}
	return out, nil
}

func (ed *Editor) apply(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	switch {
	case len(requests) == 0:
		return nil, errors.New("there is nothing to edit")
	case m.Tokenizer == nil:
		return nil, errors.New("the model has no tokenizer; put its tokenizer.json beside the weights")
	}
	site, err := ed.cfg.Site(m)
	if err != nil {
		return nil, err
	}
	book, err := ed.begin(m, site, last)
	if err != nil {
		return nil, err
	}
	out := &edit.Edited{Editor: ed.Name(), Requests: slices.Clone(requests)}
	out.Add("layer", site.Name)
	out.Add("eps", book.Rules.Eps)
	for i := range requests {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r := &requests[i]
		if err := r.Validate(false); err != nil {
			return nil, &edit.RequestError{ID: r.ID, Err: err}
		}
		t, err := text.Ask(m, r.Prompt, r.Target, r.Join)
		if err != nil {
			return nil, &edit.RequestError{ID: r.ID, Err: fmt.Errorf("edit %s: %w", r.ID, err)}
		}
		if c := ed.cfg.Capacity; c > 0 && len(book.Entries) >= c {
			return nil, &edit.RequestError{ID: r.ID, Err: fmt.Errorf("edit %s: the codebook is full: it holds %d edits, as many as capacity allows; take some out with keyhole edits remove, or allow more", r.ID, c)}
		}
		a, err := read(m, ed.k, site, t)
		if err != nil {
			return nil, fmt.Errorf("edit %s: %w", r.ID, err)
		}
		step, err := ed.one(ctx, m, site, book, r, a)
		if err != nil {
			return nil, fmt.Errorf("edit %s: %w", r.ID, err)
		}
		book = step.book
		add := func(name string, value any) { out.Add(fmt.Sprintf("%s[%d]", name, i), value) }
		add("decision", string(step.decision))
		if n := len(step.losses); n > 0 {
			add("steps", n)
			add("loss_first", step.losses[0])
			add("loss", step.losses[n-1])
		}
	}
	out.Add("keys", book.Len())
	out.Memory = book
	return out, nil
}

// begin is last's codebook, or an empty one.
func (ed *Editor) begin(m *lm.Model, site lm.Site, last *edit.Edited) (*Codebook, error) {
	hash, err := m.Hash()
	if err != nil {
		return nil, err
	}
	b := &Codebook{Model: hash, Layer: site.Name, Rules: rules{Eps: ed.cfg.Eps, Expand: ed.cfg.Expand, Replacement: ed.cfg.Replacement, Compat: ed.cfg.Compat}}
	if b.Rules.Eps, err = ed.radius(m, site); err != nil {
		return nil, err
	}
	if last == nil {
		return b, nil
	}
	old, ok := last.Memory.(*Codebook)
	if !ok {
		return nil, fmt.Errorf("the edit before, by %s, has no codebook; begin a new sequence", last.Editor)
	}
	return old, old.check(b)
}

// check fails unless the codebook is one of the same model, layer and rules.
func (b *Codebook) check(want *Codebook) error {
	switch {
	case !lm.OfOneModel(b.Model, want.Model):
		return fmt.Errorf("the codebook is of %w; begin a new one", &lm.OtherModelError{Recorded: b.Model, Hash: want.Model})
	case b.Layer != want.Layer:
		return fmt.Errorf("the codebook stands behind %s, not %s; set layer as it was, or begin a new one", b.Layer, want.Layer)
	case b.Rules != want.Rules:
		return fmt.Errorf("the codebook was made with %+v, not %+v; set them as they were, or begin a new one", b.Rules, want.Rules)
	}
	return nil
}

// outcome is a codebook with one more edit.
type outcome struct {
	book     *Codebook
	decision Decision
	losses   []float64
}

// one makes an edit.
func (ed *Editor) one(ctx context.Context, m *lm.Model, site lm.Site, book *Codebook, r *edit.Request, a *asked) (*outcome, error) {
	e := Entry{ID: r.ID, Prompt: r.Prompt, Target: r.Target, Tokens: a.prompt, Query: a.query}
	for _, l := range a.text.Labels {
		if l >= 0 {
			e.Labels = append(e.Labels, l)
		}
	}
	e.Value = ed.fresh(a, r.ID, len(book.Entries))
	return ed.train(ctx, m, site, book, e, a, nil)
}

// train lets the edit change the keys and trains the value that answers for it.
func (ed *Editor) train(ctx context.Context, m *lm.Model, site lm.Site, book *Codebook, e Entry, a *asked, watch func(int, []float32)) (*outcome, error) {
	look := &Codebook{Rules: book.Rules, pairs: slices.Clone(book.pairs)}
	out := &outcome{}
	var trained int
	if out.decision, trained = look.add(e, e.Value); trained >= 0 {
		t, err := newTrainer(m, ed.k, site, a, book.Rules, look.pairs[trained].value)
		if err != nil {
			return nil, err
		}
		t.watch = watch
		if out.losses, err = t.run(ctx, ed.cfg); err != nil {
			return nil, err
		}
		if e.Value, err = t.value.Values(); err != nil {
			return nil, err
		}
	}
	out.book = book.with(e)
	return out, nil
}

// fresh is where a new key's value begins, [out].
func (ed *Editor) fresh(a *asked, id string, n int) []float32 {
	if ed.cfg.Init == "warm" {
		return slices.Clone(a.output)
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", n, id)
	rng := rand.New(rand.NewPCG(ed.cfg.Seed, h.Sum64()))
	v := make([]float32, len(a.output))
	for i := range v {
		v[i] = float32(rng.Float64())
	}
	return v
}

// radius is that of a new key. One that holds any prompt from any other is refused,
// but where published code is followed.
func (ed *Editor) radius(m *lm.Model, site lm.Site) (float64, error) {
	eps := ed.cfg.Eps
	if eps > 0 && (len(ed.pool) < 2 || ed.cfg.Compat != CompatNone) {
		return eps, nil
	}
	d, err := ed.distances(m, site)
	if err != nil {
		return 0, err
	}
	key, value := "eps", eps
	if eps == 0 {
		key, value, eps = "eps_share", ed.cfg.EpsShare, ed.cfg.EpsShare*d.median
	}
	if d.largest > 0 && !(eps < d.largest) {
		return 0, fmt.Errorf("%s: %v keeps everything: a radius of %.4g holds any of the prompts that were compared from any other (no two are more than %.4g apart at %s, the nearest ones %.4g in the median); set a smaller one", key, value, eps, d.largest, site.Name, d.median)
	}
	return eps, nil
}

// distances compares prompts of the pool at the layer's input.
func (ed *Editor) distances(m *lm.Model, site lm.Site) (distances, error) {
	if d, ok := ed.apart[site.Name]; ok {
		return d, nil
	}
	const most = 128
	var queries [][]float32
	for i := range ed.pool {
		if len(queries) == most {
			break
		}
		ids := text.Prompt(m.Tokenizer, ed.pool[i].Prompt)
		if len(ids) == 0 || m.CheckLength(len(ids)) != nil {
			continue
		}
		t := text.Text{IDs: ids, Labels: slices.Repeat([]int32{-1}, len(ids))}
		a, err := read(m, ed.k, site, t)
		if err != nil {
			return distances{}, err
		}
		queries = append(queries, a.query)
	}
	var out distances
	var gaps []float64
	for i, q := range queries {
		gap := -1.0
		for j, p := range queries {
			d := distance(q, p)
			out.largest = max(out.largest, d)
			if j != i && d > 0 && (gap < 0 || d < gap) {
				gap = d
			}
		}
		if gap > 0 {
			gaps = append(gaps, gap)
		}
	}
	if len(gaps) == 0 && ed.cfg.Eps == 0 {
		return out, errors.New("the prompts to measure distances between are all alike; set eps")
	}
	if len(gaps) > 0 {
		slices.Sort(gaps)
		out.median = gaps[len(gaps)/2]
	}
	ed.apart[site.Name] = out
	return out, nil
}

// Kind implements edit.Memory.
func (b *Codebook) Kind() string { return Kind }

// Pack implements edit.Memory.
func (b *Codebook) Pack() (edit.Packed, error) {
	info, err := json.Marshal(b)
	p := edit.Packed{Kind: Kind, Info: info}
	if n := len(b.Entries); n > 0 {
		in, out := len(b.Entries[0].Query), len(b.Entries[0].Value)
		queries, values := make([]float32, 0, n*in), make([]float32, 0, n*out)
		for _, e := range b.Entries {
			queries, values = append(queries, e.Query...), append(values, e.Value...)
		}
		p.Tensors = []edit.PackedTensor{{Name: "queries", Shape: []int{n, in}, Values: queries}, {Name: "values", Shape: []int{n, out}, Values: values}}
	}
	return p, err
}

// Open implements edit.Opener.
func (ed *Editor) Open(_ context.Context, m *lm.Model, p edit.Packed) (edit.Memory, error) {
	b, err := Open(m, p)
	if err != nil {
		return nil, fmt.Errorf("grace: %w", err)
	}
	return b, nil
}

// Open reads a codebook of edits of m.
func Open(m *lm.Model, p edit.Packed) (*Codebook, error) {
	b, err := Unpack(p)
	if err != nil {
		return nil, err
	}
	if _, err := m.Owns(b.Model); err != nil {
		return nil, fmt.Errorf("the codebook is of %w", err)
	}
	l, ok := m.Linear(b.Layer)
	if !ok {
		return nil, fmt.Errorf("the codebook stands behind %s, which the model has not", b.Layer)
	}
	for _, e := range b.Entries {
		if len(e.Query) != l.In || len(e.Value) != l.Out {
			return nil, fmt.Errorf("the codebook has keys of width %d and values of width %d, the layer %s takes %d and gives %d", len(e.Query), len(e.Value), b.Layer, l.In, l.Out)
		}
	}
	return b, nil
}

// Unpack reads a codebook, of whatever model.
func Unpack(p edit.Packed) (*Codebook, error) {
	if p.Kind != Kind {
		return nil, fmt.Errorf("a memory of kind %q is no codebook", p.Kind)
	}
	read := &Codebook{}
	if err := json.Unmarshal(p.Info, read); err != nil {
		return nil, fmt.Errorf("codebook: %w", err)
	}
	b := &Codebook{Model: read.Model, Layer: read.Layer, Rules: read.Rules}
	n := len(read.Entries)
	if n == 0 {
		return b, nil
	}
	q, err := p.Tensor("queries", 2)
	if err != nil {
		return nil, err
	}
	v, err := p.Tensor("values", 2)
	if err != nil {
		return nil, err
	}
	if q.Shape[0] != n || v.Shape[0] != n {
		return nil, fmt.Errorf("the codebook has %d edits, but %d keys and %d values", n, q.Shape[0], v.Shape[0])
	}
	for i, e := range read.Entries {
		e.Query, e.Value = q.Values[i*q.Shape[1]:(i+1)*q.Shape[1]], v.Values[i*v.Shape[1]:(i+1)*v.Shape[1]]
		b.Entries = append(b.Entries, e)
		b.settle(e)
	}
	return b, nil
}
