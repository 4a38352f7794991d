package serve

import (
	"context"
	"net/http"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/workbench"
)

// evaluate measures an editor on data, as keyhole eval does.
func (s *Server) evaluate(w http.ResponseWriter, r *http.Request) error {
	q := struct {
		Data   string `json:"data"`
		Limit  int    `json:"limit"`
		Editor string `json:"editor"`
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
		return s.desk.evaluate(ctx, j, path, q.Limit, q.Editor, s.pause)
	})
}

// evaluate measures an editor in the base model.
func (d *desk) evaluate(ctx context.Context, j *job, path string, limit int, editor string, pause func()) (*eval.Report, error) {
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
	r, err := d.bench.Evaluate(ctx, eval.Options{
		Set: set, Limit: limit, Protocol: protocol, Pack: 1, // a pause behind each edit
		Progress: func(p eval.Progress) {
			j.report(p.Done, p.Total, editor+": edit "+p.ID)
			pause()
		},
	})
	if err != nil {
		return nil, err
	}
	r.Data = set.Name
	return r, nil
}
