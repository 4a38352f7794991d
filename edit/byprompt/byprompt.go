// Package byprompt is what memories share that keep their edits one by one, one of
// each prompt: how they grow, are listed, lose an edit, and follow one another.
//
// The central types are Fact and Named. Packages edit/nearest and edit/gated use it.
//
// Promise: edits do not depend on one another, so a list that lost an edit is the one
// that never had it.
package byprompt

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit"
)

// Fact is what a memory keeps of a request. It is embedded in what else is kept of
// the edit.
type Fact struct {
	ID      string `json:"id"`
	Prompt  string `json:"prompt"`
	Subject string `json:"subject,omitempty"`
	Target  string `json:"target"`
}

// Of is the fact of a request.
func Of(r edit.Request) Fact {
	return Fact{ID: r.ID, Prompt: r.Prompt, Subject: r.Subject, Target: r.Target}
}

// Named gives the fact itself: what embeds one is Named.
func (f Fact) Named() Fact { return f }

// Named is an edit that a memory keeps.
type Named interface{ Named() Fact }

// ErrSequence is wrapped by what makes an edit that does not go with those before it.
// No other edit of the sequence would either.
var ErrSequence = errors.New("begin a new sequence")

// Grow is a list with the edits of requests behind it, each made by one, which is
// given its place among the requests. With a capacity above 0, a list that is full
// takes edits of its own prompts alone. An edit that cannot be made does not keep the
// others from being tried; each is an *edit.RequestError of the joined error.
func Grow[E Named](ctx context.Context, name string, list []E, capacity int, requests []edit.Request, one func(i int, r edit.Request) (E, error)) ([]E, error) {
	if len(requests) == 0 {
		return nil, fmt.Errorf("%s: there is nothing to edit", name)
	}
	var errs []error
	for i, r := range requests {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if capacity > 0 && len(list) >= capacity && !holds(list, r.Prompt) {
			errs = append(errs, &edit.RequestError{ID: r.ID, Err: fmt.Errorf("%s: edit %s: the store is full: it holds %d edits, as many as capacity allows; take some out with keyhole edits remove, or allow more", name, r.ID, capacity)})
			continue
		}
		e, err := one(i, r)
		switch {
		case err != nil && (ctx.Err() != nil || errors.Is(err, ErrSequence)):
			return nil, fmt.Errorf("%s: %w", name, err)
		case err != nil:
			errs = append(errs, &edit.RequestError{ID: r.ID, Err: fmt.Errorf("%s: %w", name, err)})
			continue
		}
		list = with(list, e)
	}
	return list, errors.Join(errs...)
}

// with is a list with one more edit; one of the same prompt goes.
func with[E Named](list []E, e E) []E {
	var out []E
	for _, old := range list {
		if old.Named().Prompt != e.Named().Prompt {
			out = append(out, old)
		}
	}
	return append(out, e)
}

// holds tells whether there is an edit of a prompt.
func holds[E Named](list []E, prompt string) bool {
	return slices.ContainsFunc(list, func(e E) bool { return e.Named().Prompt == prompt })
}

// Requests are those that the edits were made of.
func Requests[E Named](list []E) []edit.Request {
	var out []edit.Request
	for _, e := range list {
		f := e.Named()
		out = append(out, edit.Request{ID: f.ID, Prompt: f.Prompt, Subject: f.Subject, Target: f.Target})
	}
	return out
}

// Forget is a list without the edit of an ID; one that is not there is an error.
func Forget[E Named](list []E, id string) ([]E, error) {
	var out []E
	for _, e := range list {
		if e.Named().ID != id {
			out = append(out, e)
		}
	}
	if len(out) == len(list) {
		return nil, fmt.Errorf("the store has no edit %s", id)
	}
	return out, nil
}

// Follows fails where a list does not begin with the edits of before, but for those
// whose prompts were edited anew since.
func Follows[E Named](now, before []E) error {
	same := func(a, b E) bool {
		x, y := a.Named(), b.Named()
		return x.ID == y.ID && x.Prompt == y.Prompt && x.Target == y.Target
	}
	if i := edit.Astray(now, before, same, func(e E) string { return e.Named().Prompt }); i >= 0 {
		return fmt.Errorf("its store does not go on from the one before: edit %s stands elsewhere, or is missing", before[i].Named().ID)
	}
	return nil
}
