package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/workbench"
)

// evaluate measures an editor on data, as keyhole eval does, in the model with the
// edits that are on, or in the base model.
func (s *Server) evaluate(w http.ResponseWriter, r *http.Request) error {
	q := struct {
		Data   string `json:"data"`
		Limit  int    `json:"limit"`
		Editor string `json:"editor"`
		Edits  *bool  `json:"edits"` // absent: true
	}{Limit: 20}
	if err := read(w, r, &q, false); err != nil {
		return err
	}
	const most = 1000
	if q.Limit < 1 || q.Limit > most {
		return wrong("limit", "limit has to be from 1 to %d", most)
	}
	path, ok := s.opts.Data[q.Data]
	if q.Data == workbench.Embedded {
		path, ok = workbench.Embedded, true
	}
	if !ok {
		return wrong("data", "there are no data %q here; GET /api/v1/status lists them", q.Data)
	}
	if _, err := s.desk.offered(q.Editor); err != nil {
		return err
	}
	return s.launch(w, r, "eval", func(ctx context.Context, j *job) (any, error) {
		m, err := s.changed(q.Edits)
		if err != nil {
			return nil, err
		}
		return s.desk.evaluate(ctx, j, path, q.Limit, q.Editor, m)
	})
}

// evaluate measures an editor in a model.
func (d *desk) evaluate(ctx context.Context, j *job, path string, limit int, editor string, m *changed) (*eval.Report, error) {
	set, err := workbench.LoadEdits(path, data.Options{})
	if err != nil {
		return nil, err
	}
	if _, err := d.use(ctx, editor, nil); err != nil {
		return nil, err
	}
	protocol, err := eval.FindProtocol("single")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	o := eval.Options{
		Model: d.bench.Model, Engine: d.bench.Engine, Editor: d.bench.Editor,
		Set: set, Limit: limit, Protocol: protocol, Pack: 1, // a pause behind each edit
		Progress: func(p eval.Progress) {
			j.report(p.Done, p.Total, editor+": edit "+p.ID)
			if err := m.pause(); err != nil {
				stop(err)
			}
		},
	}
	if len(m.list) > 0 {
		o.Editor = &behind{o.Editor, d, m}
	}
	if err := d.be(m.on); err != nil {
		return nil, err
	}
	r, err := eval.Run(ctx, o)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	r.Data = set.Name
	if n := len(m.list); n > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("Each edit was made to the base model and measured beside those that are on (%d), against the model without it.", n))
	}
	return r, nil
}

// behind makes edits as its editor does, of the base model, for the model that has
// others already.
type behind struct {
	edit.Editor
	d *desk
	m *changed
}

// Apply implements edit.Editor. New values of the weights are what makes the model
// exactly the one that has the edit beside the others.
func (b *behind) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (_ *edit.Edited, err error) {
	b.d.base()
	defer func() { err = errors.Join(err, b.d.be(b.m.on)) }()
	e, err := edit.Continue(ctx, b.Editor, m, nil, requests)
	if err != nil || len(e.Changes) == 0 {
		return e, err
	}
	whole, err := b.d.join(ctx, append(slices.Clone(b.m.list), &kept{ID: "of the evaluation", Editor: e.Editor, edited: e}))
	if err != nil {
		return nil, err
	}
	if err := b.d.be(whole); err != nil {
		return nil, err
	}
	out := *e
	out.Changes = nil
	for _, c := range e.Changes {
		if slices.ContainsFunc(out.Changes, func(have edit.Change) bool { return have.Weight == c.Weight }) {
			continue
		}
		p, ok := m.Param(c.Weight)
		if !ok {
			return nil, fmt.Errorf("the model has no weight %s", c.Weight)
		}
		values, err := p.Values()
		if err != nil {
			return nil, err
		}
		out.Changes = append(out.Changes, edit.Change{Weight: c.Weight, Values: slices.Clone(values)})
	}
	return &out, nil
}
