package ft

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm"
)

// requestsKind is the kind of the memory of a sequence that is trained on anew.
const requestsKind = "requests"

// replayed is the requests of a sequence so far.
type replayed struct {
	Requests []edit.Request `json:"requests"`
}

var (
	_ edit.Continuer = (*Editor)(nil)
	_ edit.Opener    = (*Editor)(nil)
)

// Kind implements edit.Memory.
func (*replayed) Kind() string { return requestsKind }

// Pack implements edit.Memory.
func (r *replayed) Pack() (edit.Packed, error) {
	info, err := json.Marshal(r)
	return edit.Packed{Kind: requestsKind, Info: info}, err
}

// Open implements edit.Opener.
func (e *Editor) Open(_ context.Context, _ *lm.Model, p edit.Packed) (edit.Memory, error) {
	if p.Kind != requestsKind {
		return nil, fmt.Errorf("editor %s: its memory is %s, not %s", e.Name(), p.Kind, requestsKind)
	}
	r := &replayed{}
	if err := json.Unmarshal(p.Info, r); err != nil {
		return nil, fmt.Errorf("memory %s: %w", p.Kind, err)
	}
	return r, nil
}

// Continue implements edit.Continuer. With Replay the base model's weights are
// trained on all requests of the sequence, the later one of two with the same prompt,
// so that the sequence ends where one edit of all of them does.
func (e *Editor) Continue(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	if !e.cfg.Replay || last == nil {
		return e.Apply(ctx, m, requests)
	}
	before, ok := last.Memory.(*replayed)
	if !ok {
		return nil, fmt.Errorf("editor %s: the sequence's last edit, by %s, does not say what was edited; begin a new sequence", e.Name(), last.Editor)
	}
	all := slices.DeleteFunc(slices.Clone(before.Requests), func(r edit.Request) bool {
		return slices.ContainsFunc(requests, func(n edit.Request) bool { return n.Prompt == r.Prompt })
	})
	sites, err := e.cfg.sites(m)
	if err != nil {
		return nil, fmt.Errorf("editor %s: %w", e.Name(), err)
	}
	for _, s := range sites {
		defer s.Linear.W.AsBase()()
		if s.Linear.B != nil {
			defer s.Linear.B.AsBase()()
		}
	}
	d, err := e.Apply(ctx, m, append(all, requests...))
	if err != nil {
		return nil, err
	}
	d.Requests = requests
	return d, nil
}
