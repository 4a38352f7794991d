package ike

import (
	"context"
	"errors"
	"fmt"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/encoder"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Editor makes contexts. It is safe for concurrent use.
type Editor struct {
	// OnContext, if set, is told of every context that a query got, from
	// whichever goroutine asked.
	OnContext func(Use)

	cfg   Config
	pool  []data.Edit
	items []item
	enc   *encoder.Encoder
	find  retriever
}

// Use is one context in use.
type Use struct {
	Query   string
	ID      string // of the edit; "" if no edit was near enough
	Tokens  int    // length of the context
	Dropped int    // demonstrations left out for want of room
}

var _ edit.Editor = (*Editor)(nil)

// New returns the editor that cfg describes, with demonstrations from the
// records of pool, which it keeps, and sentence vectors by enc, nil if there is
// none. Where vectors are needed, those of the pool are computed now.
func New(ctx context.Context, cfg Config, pool []data.Edit, enc *encoder.Encoder) (*Editor, error) {
	fail := func(err error) (*Editor, error) { return nil, fmt.Errorf("editor %s: %w", cfg.Variant, err) }
	if err := cfg.Validate(); err != nil {
		return fail(err)
	}
	e := &Editor{cfg: cfg, enc: enc}
	if cfg.Demonstrations == 0 {
		pool = nil
	} else if len(pool) == 0 {
		return fail(errors.New("there are no records to make demonstrations of; give a data file, or use demonstrations: 0"))
	}
	e.pool, e.items = pool, itemsOf(cfg.Variant, pool, cfg.StripParaphrases)
	texts := make([]string, len(e.items))
	for i, it := range e.items {
		texts[i] = it.text
	}
	var err error
	if e.find, err = e.retriever(ctx, texts, cfg.Cache); err != nil {
		return fail(err)
	}
	return e, nil
}

// retriever searches texts in the way that the configuration says; vectors are
// kept in the folder cache if it has a name.
func (e *Editor) retriever(ctx context.Context, texts []string, cache string) (retriever, error) {
	words := byWords{index: newIndex(texts)}
	switch e.cfg.Retriever {
	case RandomRetriever:
		return &byChance{byWords: words, seed: e.cfg.Seed, texts: len(texts)}, nil
	case BM25Retriever:
		return &words, nil
	case AutoRetriever:
		if e.enc == nil {
			words.reason = " (no encoder is given)"
			return &words, nil
		}
	}
	if e.enc == nil {
		return nil, errors.New("retriever: encoder is asked for, but none was loaded; give its folder in encoder, or use bm25")
	}
	return newByEncoder(ctx, e.enc, cache, texts)
}

// OpenEncoder loads the encoder that the configuration names, or returns nil if
// it names or needs none. It computes with k; whoever opens it closes it.
func (c *Config) OpenEncoder(k *kernel.Engine) (*encoder.Encoder, error) {
	if c.Encoder == "" || c.Retriever == BM25Retriever || c.Retriever == RandomRetriever {
		return nil, nil
	}
	return encoder.Load(c.Encoder, k)
}

// Name implements edit.Editor: the variant.
func (e *Editor) Name() string { return e.cfg.Variant }

// Apply implements edit.Editor: the model stays as it is, and the context of
// each query is found when it is asked for.
func (e *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	d, err := e.apply(ctx, m, requests)
	if err != nil {
		return nil, fmt.Errorf("editor %s: %w", e.cfg.Variant, err)
	}
	return d, nil
}

func (e *Editor) apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	switch {
	case len(requests) == 0:
		return nil, errors.New("there is nothing to edit")
	case m.Tokenizer == nil:
		return nil, errors.New("the model has no tokenizer; put its tokenizer.json beside the weights")
	case len(requests) > 1 && e.cfg.Memory == NoMemory:
		return nil, fmt.Errorf("memory: none holds one edit, there are %d; use store, or edit one at a time", len(requests))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	plans, substituted, err := e.plans(ctx, m, requests)
	if err != nil {
		return nil, err
	}
	d := &edit.Edited{Editor: e.Name(), Requests: requests}
	recall, memory := func(string) (int, error) { return 0, nil }, NoMemory
	if len(requests) > 1 || e.cfg.Memory == StoreMemory {
		memory = StoreMemory
		if recall, err = e.store(ctx, requests); err != nil {
			return nil, err
		}
	}
	d.Context = func(query string) (string, error) {
		i, err := recall(query)
		if err != nil {
			return "", fmt.Errorf("editor %s: %w", e.cfg.Variant, err)
		}
		use, f := Use{Query: query}, fitted{}
		if i >= 0 {
			if f, err = plans[i].context(query); err != nil {
				return "", fmt.Errorf("editor %s: %w", e.cfg.Variant, err)
			}
			use.ID, use.Tokens, use.Dropped = requests[i].ID, f.tokens, f.dropped
		}
		if e.OnContext != nil {
			e.OnContext(use)
		}
		return f.text, nil
	}
	e.report(d, plans, substituted, memory)
	return d, nil
}

// plans makes the contexts of the requests.
func (e *Editor) plans(ctx context.Context, m *lm.Model, requests []edit.Request) (plans []*plan, substituted int, err error) {
	limit := m.Limit()
	if e.cfg.MaxContext > 0 {
		limit = min(limit, e.cfg.MaxContext)
	}
	queries := make([]string, len(requests))
	for i := range requests {
		if err := requests[i].Validate(false); err != nil {
			return nil, 0, err
		}
		queries[i] = query(e.cfg.Variant, &requests[i])
	}
	ranked := make([][]int, len(requests))
	if e.cfg.Demonstrations > 0 {
		ranked, err = e.find.rank(ctx, queries, e.cfg.Demonstrations, func(q, i int) bool {
			return e.pool[e.items[i].record].Prompt != requests[q].Prompt
		})
		if err != nil {
			return nil, 0, err
		}
	}
	for i, r := range requests {
		p := &plan{cfg: &e.cfg, tok: m.Tokenizer, limit: limit, request: r}
		var n int
		p.demos, n = e.demonstrations(&r, ranked[i])
		substituted += n
		room := max(e.cfg.QueryTokens, p.tokens(r.Prompt)) + e.cfg.AnswerTokens
		if p.usual, err = p.fit(room); err != nil {
			return nil, 0, err
		}
		plans = append(plans, p)
	}
	return plans, substituted, nil
}

// store returns the function that finds the edit a query is about, −1 if none
// is near enough.
func (e *Editor) store(ctx context.Context, requests []edit.Request) (func(query string) (int, error), error) {
	prompts := make([]string, len(requests))
	for i, r := range requests {
		prompts[i] = r.Prompt
	}
	find, err := e.retriever(ctx, prompts, "")
	if err != nil {
		return nil, err
	}
	return func(query string) (int, error) {
		similar, err := find.similarity(query)
		if err != nil {
			return 0, err
		}
		const rounding = 1e-6 // a text's similarity with itself may be that much below 1
		best := nearest(similar, 1, func(i int) bool { return similar[i] >= e.cfg.Threshold-rounding })
		if len(best) == 0 {
			return -1, nil
		}
		return best[0], nil
	}, nil
}

// report says what the contexts hold; with several edits, on the average.
func (e *Editor) report(d *edit.Edited, plans []*plan, substituted int, memory string) {
	var total [kinds]int
	tokens, dropped := 0, 0
	for _, p := range plans {
		for k, n := range p.kindsKept(p.usual) {
			total[k] += n
		}
		tokens, dropped = tokens+p.usual.tokens, dropped+p.usual.dropped
	}
	each := func(n int) float64 { return float64(n) / float64(len(plans)) }
	d.Add("demonstrations", each(total[copied]+total[updated]+total[retain]))
	d.Add("copy", each(total[copied]))
	d.Add("update", each(total[updated]))
	d.Add("retain", each(total[retain]))
	d.Add("dropped", each(dropped))
	d.Add("substituted", each(substituted))
	d.Add("context_tokens", each(tokens))
	if e.cfg.Demonstrations > 0 {
		d.Add("retriever", e.find.name())
		d.Add("order", e.cfg.Order)
		d.Add("paraphrases", map[bool]string{true: "stripped", false: "as given"}[e.cfg.StripParaphrases])
	}
	d.Add("memory", memory)
	if memory == StoreMemory {
		d.Add("threshold", e.cfg.Threshold)
	}
}
