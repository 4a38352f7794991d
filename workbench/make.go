package workbench

import (
	"context"
	"fmt"
	"time"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/verdict"
)

// Plan says how edits are made and measured. The zero value is the default.
type Plan struct {
	// Last is the latest of earlier edits that are in the model; nil: there is none.
	Last *edit.Edited
	// Together makes one edit of all requests. Editors whose edits do not add up
	// make one in any case.
	Together bool
	// Known makes the edit of a single request even if the model says its target
	// already; else that is a *KnownError.
	Known   bool
	Verdict verdict.Options
}

// Outcome is what came of requests.
type Outcome struct {
	// Edits are the edits in the order in which they were made, each behind the
	// ones before it: one for each request, or one of all.
	Edits   []*edit.Edited
	Verdict *verdict.Verdict // nil if the editor refused
	Before  []verdict.Outcome
	Seconds float64 // that making them took
}

// KnownError says that there is nothing to edit.
type KnownError struct{ Request verdict.Outcome }

func (e *KnownError) Error() string {
	return fmt.Sprintf("the model answers %q with %q already, so there is nothing to edit; choose another target", e.Request.Prompt, e.Request.Target)
}

// Together reports whether the bench's editor makes one edit of several requests.
func (b *Bench) Together() bool {
	e, err := catalog.Find(b.Made.Editor)
	return err == nil && (e.Together || e.InContext)
}

// Make makes edits with the bench's editor and measures what they did. The
// model is as it was when Make returns, also with an error. Where the editor
// refuses, the outcome that is returned beside the error has what the model said
// before.
func (b *Bench) Make(ctx context.Context, requests []edit.Request, p Plan) (*Outcome, error) {
	for i := range requests {
		if err := requests[i].Validate(false); err != nil {
			return nil, err
		}
	}
	p.Verdict.Last = p.Last
	j, err := verdict.Begin(ctx, b.Model, b.Engine, requests, p.Verdict)
	if err != nil {
		return nil, err
	}
	out := &Outcome{Before: j.Outcomes()}
	if len(requests) == 1 && out.Before[0].Known && !p.Known {
		return nil, &KnownError{out.Before[0]}
	}
	size := 1 // requests of an edit
	if p.Together || b.Together() {
		size = len(requests)
	}
	undo := func() {}
	defer func() { undo() }()
	last := p.Last
	for lo := 0; lo < len(requests); lo += size {
		start := time.Now()
		e, err := edit.Continue(ctx, b.Editor, b.Model, last, requests[lo:lo+size])
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			return out, err
		}
		out.Seconds += time.Since(start).Seconds()
		if lo > 0 {
			e.Add("made_behind", lo) // edits that were in the model
		}
		again, err := e.Install(b.Model, b.Engine)
		if err != nil {
			return out, err
		}
		before := undo
		undo = func() { again(); before() }
		out.Edits, last = append(out.Edits, e), e
		if err := j.Note(ctx, lo, lo+size, e); err != nil {
			return out, err
		}
	}
	out.Verdict, err = j.End(ctx, last)
	if err != nil {
		return nil, err
	}
	out.note(size)
	return out, nil
}

// note writes into each edit what is true of it, for whoever keeps it.
func (o *Outcome) note(size int) {
	for i, e := range o.Edits {
		held := 0
		for _, r := range o.Verdict.Requests[i*size : (i+1)*size] {
			if r.Held {
				held++
			}
		}
		e.Add(verdict.HeldFigure, held)
		e.Add("drift_kl", o.Verdict.Drift.KL)
	}
}
