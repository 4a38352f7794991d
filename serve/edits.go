package serve

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// editsBody is the list of edits.
type editsBody struct {
	Edits []*kept `json:"edits"`
}

func bodyOf(list []*kept) editsBody { return editsBody{append([]*kept{}, list...)} }

func (s *Server) edits(w http.ResponseWriter, _ *http.Request) error {
	reply(w, http.StatusOK, bodyOf(s.edited()))
	return nil
}

// on are the edits of a list that are on.
func on(list []*kept) []*kept {
	var out []*kept
	for _, k := range list {
		if k.On {
			out = append(out, k)
		}
	}
	return out
}

// edited is the list as it is now.
func (s *Server) edited() []*kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list
}

// maxEdits bounds the list.
const maxEdits = 1000

// change makes the list another one: in the model, then in the store, then for
// whoever asks. Where one of them fails, all stay as they were.
func (s *Server) change(ctx context.Context, list []*kept) error {
	before := s.desk.on
	whole, err := s.desk.join(ctx, on(list))
	if err != nil {
		return err
	}
	if err := s.desk.put(whole); err != nil {
		return refused("%v", err)
	}
	if err := s.store.save(list); err != nil {
		if back := s.desk.put(before); back != nil {
			s.opts.Log.Printf("edits: %v", back)
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
	return nil
}

// keep adds a trial's edit to the end of the list.
func (s *Server) keep(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Trial string `json:"trial"`
	}
	if err := read(w, r, &q, false); err != nil {
		return err
	}
	k, err := s.do(r, "edits", func(ctx context.Context, _ *job) (any, error) {
		t := s.trials.find(q.Trial)
		if t == nil {
			return nil, missing("trial", q.Trial)
		}
		list := s.edited()
		if len(list) >= maxEdits {
			return nil, refused("there are %d edits already; delete some", len(list))
		}
		k := &kept{
			ID: s.store.newID(), On: true, Editor: t.Editor, Request: t.Request, Created: time.Now().UTC().Truncate(time.Second),
			Seconds: t.Seconds, Held: t.Held, Drift: t.Drift, edited: t.edited,
		}
		if err := s.store.addFile(k); err != nil {
			return nil, err
		}
		return k, s.change(ctx, append(slices.Clone(list), k))
	})
	if err != nil {
		return err
	}
	reply(w, http.StatusCreated, k)
	return nil
}

// find is the place of an edit that a request names.
func find(list []*kept, id string) (int, error) {
	at := slices.IndexFunc(list, func(k *kept) bool { return k.ID == id })
	if at < 0 {
		return 0, missing("edit", id)
	}
	return at, nil
}

// turn switches an edit on or off.
func (s *Server) turn(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		On *bool `json:"on"`
	}
	if err := read(w, r, &q, false); err != nil {
		return err
	}
	if q.On == nil {
		return wrong("on", "on is missing: true or false")
	}
	k, err := s.do(r, "edits", func(ctx context.Context, _ *job) (any, error) {
		list := slices.Clone(s.edited())
		at, err := find(list, r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		k := *list[at]
		k.On = *q.On
		list[at] = &k
		return &k, s.change(ctx, list)
	})
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, k)
	return nil
}

// remove takes an edit out of the list.
func (s *Server) remove(w http.ResponseWriter, r *http.Request) error {
	_, err := s.do(r, "edits", func(ctx context.Context, _ *job) (any, error) {
		list := slices.Clone(s.edited())
		at, err := find(list, r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return nil, s.change(ctx, slices.Delete(list, at, at+1))
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// order puts the edits in another order.
func (s *Server) order(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		IDs []string `json:"ids"`
	}
	if err := read(w, r, &q, false); err != nil {
		return err
	}
	body, err := s.do(r, "edits", func(ctx context.Context, _ *job) (any, error) {
		var list []*kept
		before := s.edited()
		for _, id := range q.IDs {
			at, err := find(before, id)
			if err != nil {
				return nil, err
			}
			if slices.Contains(list, before[at]) {
				return nil, wrong("ids", "edit %s is named twice", id)
			}
			list = append(list, before[at])
		}
		if len(list) != len(before) {
			return nil, wrong("ids", "%d edits are named, and there are %d; name all of them", len(list), len(before))
		}
		return bodyOf(list), s.change(ctx, list)
	})
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, body)
	return nil
}
