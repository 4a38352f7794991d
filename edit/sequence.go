package edit

import (
	"context"
	"slices"

	"keyhole.example/keyhole/lm"
)

// Continuer is an editor whose later edits depend on more of the earlier ones
// than the model's weights: on their keys, or on a memory of its own.
type Continuer interface {
	Editor
	// Continue makes an edit in a model that has the earlier edits of a sequence,
	// of which last is the latest; nil: there is none. It does not change last.
	Continue(ctx context.Context, m *lm.Model, last *Edited, requests []Request) (*Edited, error)
}

// Continue makes an edit behind last, the latest of a sequence; nil: it is the
// first.
func Continue(ctx context.Context, e Editor, m *lm.Model, last *Edited, requests []Request) (*Edited, error) {
	if c, ok := e.(Continuer); ok {
		return c.Continue(ctx, m, last, requests)
	}
	return e.Apply(ctx, m, requests)
}

// RequestError says which request an editor refuses, where others could be
// granted.
type RequestError struct {
	ID  string
	Err error // names the edit
}

// Error implements error.
func (e *RequestError) Error() string { return e.Err.Error() }

// Unwrap is the reason.
func (e *RequestError) Unwrap() error { return e.Err }

// Blamed finds the requests that an error names, by ID.
func Blamed(err error) map[string]error {
	out := map[string]error{}
	blamed(err, out)
	return out
}

func blamed(err error, out map[string]error) {
	switch e := err.(type) {
	case *RequestError:
		out[e.ID] = e
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			blamed(part, out)
		}
	case interface{ Unwrap() error }:
		blamed(e.Unwrap(), out)
	}
}

// Follower is a Memory that knows which edits came before its own.
type Follower interface {
	// Follows fails unless the memory of this edit goes on from last; nil: from
	// nothing.
	Follows(last Memory) error
}

// Follows fails where an edit was made behind another than last; nil: behind none.
func Follows(last, e *Edited) error {
	f, ok := e.Memory.(Follower)
	if !ok {
		return nil
	}
	if last == nil {
		return f.Follows(nil)
	}
	return f.Follows(last.Memory)
}

// Astray is the first edit of before that does not stand in its place at the
// beginning of now, unless later edits of the same prompt took its place; -1: none.
func Astray[T any](now, before []T, same func(a, b T) bool, prompt func(T) string) int {
	at := 0
	for i, e := range before {
		if at < len(now) && same(now[at], e) {
			at++
			continue
		}
		anew := slices.ContainsFunc(now, func(x T) bool { return prompt(x) == prompt(e) })
		if !anew || slices.ContainsFunc(now, func(x T) bool { return same(x, e) }) {
			return i
		}
	}
	return -1
}
