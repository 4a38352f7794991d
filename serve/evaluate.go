package serve

import (
	"context"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/workbench"
)

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
