package sites

import (
	"context"
	"errors"
	"fmt"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/trace"
)

// Trace averages, over at most limit edits whose old answer the model knows, what comes
// back of it when the MLPs' outputs are restored. seen is told how many were traced.
func Trace(ctx context.Context, m *lm.Model, k *kernel.Engine, cfg trace.Config, edits []data.Edit, limit int, seen func(known int)) (*trace.Summary, error) {
	cfg.Restore = trace.MLP
	var subjects []string
	for i := range edits {
		if edits[i].Subject != "" {
			subjects = append(subjects, edits[i].Subject)
		}
	}
	if len(subjects) == 0 {
		return nil, errors.New("no edit names its subject, so that there is nothing to corrupt; give edits with subjects")
	}
	t, err := trace.New(m, k, cfg, subjects)
	if err != nil {
		return nil, err
	}
	var mean trace.Average
	var last error // of an edit that could not be traced
	for i := 0; i < len(edits) && mean.N() < limit; i++ {
		x := &edits[i]
		if x.Subject == "" || len(x.TargetTrue) == 0 {
			continue
		}
		r, err := t.Trace(ctx, trace.Query{Prompt: x.Prompt, Subject: x.Subject, Answer: x.TargetTrue[0], Join: x.Join, Occurrence: text.Place(x)})
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			last = err
			continue
		}
		if err := mean.Add(r); err != nil {
			return nil, err
		}
		seen(mean.N())
	}
	if mean.N() == 0 && last != nil {
		return nil, fmt.Errorf("no edit could be traced; the last one: %w", last)
	}
	return mean.Summary()
}
