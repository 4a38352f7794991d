package serac

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/text"
)

// Editor puts edits into a memory. It is for one goroutine at a time.
type Editor struct {
	l   *Learner
	run string
}

var (
	_ edit.Continuer = (*Editor)(nil)
	_ edit.Opener    = (*Editor)(nil)
)

// NewEditor is the editor of a trained learner; run is where that was found, for
// whoever opens a memory again.
func NewEditor(l *Learner, run string) *Editor { return &Editor{l, run} }

// Name implements edit.Editor.
func (ed *Editor) Name() string { return "serac" }

// Fingerprint identifies the networks and the settings.
func (ed *Editor) Fingerprint() string { return ed.l.Hash() }

// Apply implements edit.Editor: a memory of the requests.
func (ed *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	return ed.Continue(ctx, m, nil, requests)
}

// Continue implements edit.Continuer: the memory of last goes on.
func (ed *Editor) Continue(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	out, err := ed.apply(ctx, m, last, requests)
	if err != nil {
		return nil, fmt.Errorf("serac: %w", err)
	}
	return out, nil
}

func (ed *Editor) apply(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	if len(requests) == 0 {
		return nil, errors.New("there is nothing to edit")
	}
	memory, err := ed.begin(m, last)
	if err != nil {
		return nil, err
	}
	out := &edit.Edited{Editor: ed.Name(), Requests: slices.Clone(requests)}
	replaced := 0
	for i := range requests {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r := &requests[i]
		took, err := ed.add(memory, m, r)
		if err != nil {
			return nil, &edit.RequestError{ID: r.ID, Err: fmt.Errorf("edit %s: %w", r.ID, err)}
		}
		if took {
			replaced++
		}
	}
	out.Add("edits", len(memory.Edits))
	if replaced > 0 {
		out.Add("replaced", replaced)
	}
	out.Memory = memory
	return out, nil
}

// begin is last's memory, to be added to, or an empty one.
func (ed *Editor) begin(m *lm.Model, last *edit.Edited) (*Memory, error) {
	if _, err := m.Owns(ed.l.hash); err != nil {
		return nil, fmt.Errorf("the networks were trained for %w", err)
	}
	fresh := &Memory{Model: ed.l.hash, Networks: ed.l.Hash(), Run: ed.run, l: ed.l}
	if last == nil {
		return fresh, nil
	}
	old, ok := last.Memory.(*Memory)
	if !ok {
		return nil, fmt.Errorf("the edit before, by %s, has no memory of texts; begin a new sequence", last.Editor)
	}
	if old.Networks != fresh.Networks || old.l == nil {
		return nil, errors.New("the memory of the edit before belongs to other networks; go on with the run that made it, or begin a new sequence")
	}
	fresh.Edits, fresh.vectors = slices.Clone(old.Edits), slices.Clone(old.vectors)
	return fresh, nil
}

// add puts a request into a memory that nobody else has yet; replaced: in the
// place of one of the same prompt.
func (ed *Editor) add(memory *Memory, m *lm.Model, r *edit.Request) (replaced bool, err error) {
	if err := r.Validate(false); err != nil {
		return false, err
	}
	if _, err := text.Ask(m, r.Prompt, r.Target, r.Join); err != nil {
		return false, err
	}
	e := element{ID: r.ID, Prompt: r.Prompt, Subject: r.Subject, Target: r.Target, Join: r.Join}
	if i := slices.IndexFunc(memory.Edits, func(x element) bool { return x.Prompt == e.Prompt }); i >= 0 && !ed.l.Reference {
		*memory, replaced = *memory.without(i), true
	}
	if slices.ContainsFunc(memory.Edits, func(x element) bool { return x.ID == e.ID }) {
		return false, fmt.Errorf("the memory has an edit of this id already; name it otherwise, or take that one out")
	}
	if c := ed.l.cfg.Capacity; c > 0 && len(memory.Edits) >= c {
		return false, fmt.Errorf("the memory is full: it holds %d edits, as many as serac.capacity allows; take some out with keyhole edits remove, or allow more", c)
	}
	front := ed.l.front(e.answered())
	if n, limit := len(text.Prompt(ed.l.Base.Tokenizer, front+r.Prompt)), ed.l.Counterfactual.Limit(); n >= limit {
		return false, fmt.Errorf("with the edit in front, its prompt has %d tokens, and the counterfactual model takes %d; shorten it", n, limit)
	}
	v, err := ed.l.vectors([]string{ed.l.cacheText(e.Prompt, e.answered())})
	if err != nil {
		return false, err
	}
	memory.Edits, memory.vectors = append(memory.Edits, e), append(memory.vectors, v[0])
	return replaced, nil
}

// Open implements edit.Opener.
func (ed *Editor) Open(_ context.Context, m *lm.Model, p edit.Packed) (edit.Memory, error) {
	memory, err := Unpack(p)
	if err != nil {
		return nil, fmt.Errorf("serac: %w", err)
	}
	if _, err := m.Owns(memory.Model); err != nil {
		return nil, fmt.Errorf("serac: the memory is of %w", err)
	}
	if memory.Networks != ed.l.Hash() {
		at := ""
		if memory.Run != "" {
			at = fmt.Sprintf(" (it was made by %s)", memory.Run)
		}
		return nil, fmt.Errorf("serac: the memory belongs to other networks than those of this run%s; go on with that run, as it was", at)
	}
	memory.l = ed.l
	var texts []string
	for _, e := range memory.Edits {
		texts = append(texts, ed.l.cacheText(e.Prompt, e.answered()))
	}
	if memory.vectors, err = ed.l.vectors(texts); err != nil {
		return nil, fmt.Errorf("serac: %w", err)
	}
	return memory, nil
}
