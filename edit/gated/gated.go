package gated

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/byprompt"
	"keyhole.example/keyhole/edit/scope"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// Settings say when an edit answers.
type Settings struct {
	Gate      string    `yaml:"gate" doc:"layer whose inputs are keys, as mlp.down@6; it has to come before what edits change. Empty: the first layer that they change"`
	Contexts  int       `yaml:"contexts" doc:"keys beside the prompt's own: the same token behind so many unrelated sentences"`
	Strengths []float64 `yaml:"strengths" doc:"what an edit's changes may be multiplied by, which texts in scope alone see; the one at which its target is likeliest is kept"`
	Token     string    `yaml:"token" doc:"whose input is the key: subject (its last token; any token of a text is compared with it) or last (the prompt's; the prompt's last token is compared with it)"`
	Margin    float64   `yaml:"margin" doc:"threshold of an edit's cosine: this share of the way from the nearest unrelated row to the key itself"`
	Negatives int       `yaml:"negatives" doc:"prompts of other edits that unrelated rows are taken from"`
	Learned   Learned   `yaml:"learned" doc:"how the edits of a run are made; those of rome are not"`
	Rows      string    `yaml:"rows" absent:"text" doc:"rows that an edit changes in a text that holds its key: text (all), subject (those of the subject, up to the row that the key was found in), or own (subject, unless the editor of the edits changes other rows too; then text)"`
	Capacity  int       `yaml:"capacity" doc:"edits that a store holds at most; 0: any number"`
}

// Learned says how the edits of a learned editor are made.
type Learned struct {
	Behind bool `yaml:"behind" absent:"false" doc:"of the prompt and, all together, of the prompt behind the sentences of the keys"`
	Looks  int  `yaml:"looks" absent:"0" doc:"further looks at most at an edit whose target is not the most probable one yet; an editor that looks once takes none"`
}

// The tokens that keys are of.
const (
	Subject = "subject"
	Last    = "last"
)

// The rows of a text that an edit changes.
const (
	WholeText   = "text"
	SubjectRows = "subject"
	OwnRows     = "own"
)

// DefaultSettings are those that did best on validation edits.
func DefaultSettings() Settings {
	return Settings{Contexts: 2, Strengths: []float64{1}, Token: Subject, Margin: 0.5, Negatives: 256, Rows: WholeText}
}

// Validate checks every field.
func (s *Settings) Validate() error {
	switch {
	case s.Token != Subject && s.Token != Last:
		return fmt.Errorf("token: %q is neither %s nor %s", s.Token, Subject, Last)
	case s.Rows != WholeText && s.Rows != SubjectRows && s.Rows != OwnRows:
		return fmt.Errorf("rows: %q is none of %s, %s, %s", s.Rows, WholeText, SubjectRows, OwnRows)
	case s.Rows == SubjectRows && s.Token == Last:
		return fmt.Errorf("rows: %s, but token is %s, so keys are of no subject; use rows %s", s.Rows, s.Token, WholeText)
	case !(s.Margin > 0):
		return fmt.Errorf("margin: %v answers for everything; use a number between 0 and 1", s.Margin)
	case !(s.Margin < 1):
		return fmt.Errorf("margin: %v answers for nothing but the prompt itself; use a number between 0 and 1", s.Margin)
	case s.Contexts < 0:
		return fmt.Errorf("contexts: %d is negative; 0 means the prompt alone", s.Contexts)
	case len(s.Strengths) == 0:
		return errors.New("strengths: there is none; [1] leaves the changes as they are")
	case slices.ContainsFunc(s.Strengths, func(x float64) bool { return !(x > 0) || math.IsInf(x, 0) }):
		return fmt.Errorf("strengths: not all of %v are positive numbers; 1 leaves the changes as they are", s.Strengths)
	case s.Learned.Looks < 0:
		return fmt.Errorf("learned.looks: %d is negative; 0 means those that the editor was trained for", s.Learned.Looks)
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
	pool  *scope.Pool
}

var (
	_ edit.Continuer = (*Editor)(nil)
	_ edit.Opener    = (*Editor)(nil)
)

// New returns an editor of inner's edits. pool are edits whose prompts have nothing
// to do with those to come.
func New(inner edit.Editor, cfg Settings, k *kernel.Engine, pool []data.Edit) (*Editor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("gated: %w", err)
	}
	if cfg.Learned.Looks > 0 {
		again, ok := inner.(interface{ Insisting(looks int) edit.Editor })
		if !ok {
			return nil, fmt.Errorf("gated: learned.looks: editor %s does not look at its edits; use 0", inner.Name())
		}
		inner = again.Insisting(cfg.Learned.Looks)
	}
	if err := cfg.chooseRows(inner); err != nil {
		return nil, fmt.Errorf("gated: %w", err)
	}
	prompts, err := scope.New(k, pool, cfg.Negatives)
	if err != nil {
		return nil, fmt.Errorf("gated: %w", err)
	}
	return &Editor{inner: inner, k: k, cfg: cfg, pool: prompts}, nil
}

// chooseRows says which rows OwnRows are, and refuses those that inner would not change.
func (s *Settings) chooseRows(inner edit.Editor) error {
	says, ok := inner.(interface{ OfSubject() bool })
	elsewhere := ok && !says.OfSubject()
	switch {
	case s.Rows == SubjectRows && elsewhere:
		return fmt.Errorf("rows: %s, but editor %s changes other rows than those of subjects, which would have no effect; use rows %s or %s", s.Rows, inner.Name(), OwnRows, WholeText)
	case s.Rows == OwnRows && (elsewhere || s.Token == Last):
		s.Rows = WholeText
	case s.Rows == OwnRows:
		s.Rows = SubjectRows
	}
	return nil
}

// Name implements edit.Editor.
func (ed *Editor) Name() string { return "gated" }

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
	store := &Store{Model: hash, Last: ed.cfg.Token == Last, Narrow: ed.cfg.Rows == SubjectRows}
	if last != nil {
		old, ok := last.Memory.(*Store)
		switch {
		case !ok:
			return nil, fmt.Errorf("gated: the edit before, by %s, has no store; begin a new sequence", last.Editor)
		case !lm.OfOneModel(old.Model, hash):
			return nil, fmt.Errorf("gated: the store is of %w; begin a new one", &lm.OtherModelError{Recorded: old.Model, Hash: hash})
		case old.Last != store.Last:
			return nil, errors.New("gated: the store's keys are of another token; set token as it was, or begin a new sequence")
		case old.Narrow != store.Narrow:
			return nil, errors.New("gated: the store's edits change other rows; set rows as it was, or begin a new sequence")
		}
		grown := *old
		store = &grown
	}
	out := &edit.Edited{Editor: ed.Name(), Requests: slices.Clone(requests)}
	store.Entries, err = byprompt.Grow(ctx, ed.Name(), store.Entries, ed.cfg.Capacity, requests, func(i int, r edit.Request) (Entry, error) {
		e, gate, layers, err := ed.one(ctx, m, r)
		switch {
		case err != nil:
			return Entry{}, err
		case store.Gate != "" && (store.Gate != gate || !slices.Equal(store.Layers, layers)):
			return Entry{}, fmt.Errorf("the store changes %v behind %s, the edit %v behind %s; edit the same layers, or %w", store.Layers, store.Gate, layers, gate, byprompt.ErrSequence)
		}
		store.Gate, store.Layers = gate, layers
		out.Add(fmt.Sprintf("threshold[%d]", i), e.Thresholds[0])
		return e, nil
	})
	if err != nil {
		return nil, err
	}
	out.Add("edits", len(store.Entries))
	out.Memory = store
	return out, nil
}

// one makes an edit, and says what it changes behind which gate.
func (ed *Editor) one(ctx context.Context, m *lm.Model, r edit.Request) (e Entry, gate string, layers []string, err error) {
	fail := func(err error) (Entry, string, []string, error) { return Entry{}, "", nil, err }
	if ed.cfg.Rows == SubjectRows && r.Subject == "" {
		return fail(fmt.Errorf("edit %s names no subject, whose rows it is to change; name the words of %q that the fact is about, or set rows to %s", r.ID, r.Prompt, WholeText))
	}
	made, err := ed.inner.Apply(ctx, m, ed.requests(m, r))
	if err != nil {
		return fail(err)
	}
	e.Fact = byprompt.Of(r)
	changes := map[string]*nn.Delta{}
	for _, c := range made.Changes {
		if c.Delta == nil || changes[c.Weight] != nil {
			return fail(fmt.Errorf("editor %s gives whole weights or several changes of one; only one low-rank change of a layer can be kept apart", ed.inner.Name()))
		}
		changes[c.Weight] = c.Delta
	}
	if len(changes) == 0 {
		return fail(fmt.Errorf("editor %s changes no weight; there is nothing to be kept behind a gate", ed.inner.Name()))
	}
	for _, site := range m.Sites() { // in the order of the forward pass
		if d := changes[site.Name]; d != nil {
			layers, e.Ranks = append(layers, site.Name), append(e.Ranks, d.U.Rows)
			e.Changes = append(e.Changes, &nn.Delta{U: d.U, D: d.D, Scale: d.Scale})
		}
	}
	if len(layers) < len(changes) {
		return fail(fmt.Errorf("editor %s changes weights outside the linear layers of blocks", ed.inner.Name()))
	}
	if gate, err = ed.gate(m, layers[0]); err != nil {
		return fail(err)
	}
	if e.Keys, e.Thresholds, e.Lengths, err = ed.Keys(m, gate, r); err != nil {
		return fail(err)
	}
	if err := ed.strengthen(m, layers, &e, r); err != nil {
		return fail(err)
	}
	return e, gate, layers, nil
}

// requests are what the inner editor makes an edit of: r, and with learned.behind r behind each
// sentence for which there is room.
func (ed *Editor) requests(m *lm.Model, r edit.Request) []edit.Request {
	out := []edit.Request{r}
	if !ed.cfg.Learned.Behind {
		return out
	}
	for _, before := range ed.sentences(r)[1:] {
		q := r
		q.Prompt = before + r.Prompt
		if _, err := text.Ask(m, q.Prompt, q.Target, q.Join); err == nil {
			out = append(out, q)
		}
	}
	return out
}

// gate is the weight whose inputs are keys.
func (ed *Editor) gate(m *lm.Model, first string) (string, error) {
	if ed.cfg.Gate == "" {
		return first, nil
	}
	gate, err := m.FindSite(ed.cfg.Gate)
	if err != nil {
		return "", fmt.Errorf("gate: %w", err)
	}
	for _, s := range m.Sites() {
		switch s.Name {
		case gate.Name:
			return gate.Name, nil
		case first:
			return "", fmt.Errorf("gate: %s comes behind %s, which edits change; name a layer before it", gate.Name, first)
		}
	}
	return "", fmt.Errorf("gate: %s is no linear layer of a block", gate.Name)
}

// sentences are what stands in front of a prompt for its keys: nothing, and sentences
// about something else.
func (ed *Editor) sentences(r edit.Request) []string {
	out := []string{""}
	for _, p := range ed.pool.Prompts() {
		if len(out) > ed.cfg.Contexts {
			break
		}
		if r.Subject == "" || !strings.Contains(p, r.Subject) {
			out = append(out, p+". ")
		}
	}
	return out
}

// Keys are what the edit of a request is found by at a gate, each [in] of unit length,
// with the least cosines to them and the number of tokens that end with each: the
// prompt's own, and those of the prompt behind each sentence for which there is room.
func (ed *Editor) Keys(m *lm.Model, gate string, r edit.Request) (keys [][]float32, thresholds []float64, lengths []int, err error) {
	for i, before := range ed.sentences(r) {
		x, err := ed.pool.Inputs(m, gate, before+r.Prompt)
		if err != nil && i > 0 {
			continue // too long with a sentence in front
		}
		if err != nil {
			return nil, nil, nil, err
		}
		row, n := x.Rows-1, 1
		if ed.cfg.Token == Subject && r.Subject != "" {
			subject, err := ed.subject(m, before, r)
			if err != nil {
				return nil, nil, nil, err
			}
			row, n = subject.Hi-1, subject.Hi-subject.Lo
		}
		key := scope.Unit(x.Data[row*x.Cols : (row+1)*x.Cols])
		threshold, err := ed.pool.Threshold(m, gate, r, key, ed.cfg.Token == Last, ed.cfg.Margin)
		if err != nil {
			return nil, nil, nil, err
		}
		keys, thresholds, lengths = append(keys, key), append(thresholds, threshold), append(lengths, n)
	}
	return keys, thresholds, lengths, nil
}

// subject is the tokens of a request's subject in its prompt behind a text.
func (ed *Editor) subject(m *lm.Model, before string, r edit.Request) (nn.Range, error) {
	lo, _, err := text.Find(r.Prompt, r.Subject, r.Occurrence)
	if err != nil {
		return nn.Range{}, err
	}
	return text.Subject(m.Tokenizer, before+r.Prompt, r.Subject, text.At(len(before)+lo))
}

// Open implements edit.Opener.
func (ed *Editor) Open(_ context.Context, m *lm.Model, p edit.Packed) (edit.Memory, error) {
	s, err := Open(m, p)
	if err != nil {
		return nil, fmt.Errorf("gated: %w", err)
	}
	return s, nil
}
