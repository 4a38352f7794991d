package serve

import (
	"context"
	"net/http"
	"time"
)

// checkBody is what all edits that are on do together.
type checkBody struct {
	Edits   []checked `json:"edits"` // in their order
	Drift   drift     `json:"drift"`
	Seconds float64   `json:"seconds"`
}

// checked is what became of one of them.
type checked struct {
	ID     string `json:"id"`
	Editor string `json:"editor"`
	Rows   []row  `json:"rows"` // of the base model before, of the edited model after
}

// check measures the edits that are on, all together, against the base model: what
// one does to another shows here alone.
func (s *Server) check(w http.ResponseWriter, r *http.Request) error {
	if err := read(w, r, &struct{}{}, false); err != nil {
		return err
	}
	return s.launch(w, r, "check", func(ctx context.Context, j *job) (any, error) {
		list := on(s.edited())
		if len(list) == 0 {
			return nil, refused("no edit is on, so there is nothing to measure")
		}
		return s.desk.check(ctx, j, list)
	})
}

func (d *desk) check(ctx context.Context, j *job, list []*kept) (*checkBody, error) {
	start := time.Now()
	j.report(0, 2, "asking the base model")
	var facts []fact
	for _, k := range list {
		facts = append(facts, k.Request)
	}
	d.base()
	m, err := d.measure(ctx, facts, nil)
	if err != nil {
		return nil, err
	}
	j.report(1, 2, "asking the edited model")
	e, err := d.with(true)
	if err != nil {
		return nil, err
	}
	v, err := m.judge.End(ctx, e)
	if err != nil {
		return nil, err
	}
	rows := m.after(v)
	out := &checkBody{Drift: driftOf(v)}
	for _, k := range list {
		n := k.Request.prompts()
		out.Edits = append(out.Edits, checked{k.ID, k.Editor, rows[:n]})
		rows = rows[n:]
	}
	out.Seconds = time.Since(start).Seconds()
	j.report(2, 2, "")
	return out, nil
}
