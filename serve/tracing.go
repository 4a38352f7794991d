package serve

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/trace"
)

// traceBody is where a fact lies: the probability of the answer when the state of a
// token in a block is restored, [tokens][blocks].
type traceBody struct {
	Tokens    []string    `json:"tokens"`
	Subject   [2]int      `json:"subject"` // its first and last token
	Blocks    int         `json:"blocks"`
	Edits     int         `json:"edits"` // that are in the model
	Answer    string      `json:"answer"`
	Clean     float64     `json:"clean"`
	Corrupted float64     `json:"corrupted"`
	Hidden    [][]float64 `json:"hidden"`
	MLP       [][]float64 `json:"mlp"`
	Attn      [][]float64 `json:"attn"`
}

// trace traces a fact in the model with the edits that are on, or in the base model,
// which editors change.
func (s *Server) trace(w http.ResponseWriter, r *http.Request) error {
	q := struct {
		Prompt  string `json:"prompt"`
		Subject string `json:"subject"`
		Target  string `json:"target"`
		Samples int    `json:"samples"`
		Edits   *bool  `json:"edits"` // absent: true
	}{Samples: trace.Default().Samples}
	if err := read(w, r, &q, false); err != nil {
		return err
	}
	const most = 100
	switch {
	case q.Samples < 1 || q.Samples > most:
		return wrong("samples", "samples has to be from 1 to %d", most)
	case len(q.Prompt) > maxText || len(q.Target) > maxText:
		return wrong("prompt", "prompt and target may have %d bytes", maxText)
	}
	prompt, where, err := text.Fill(q.Prompt, q.Subject)
	if err != nil {
		return wrong("prompt", "%v", err)
	}
	query := trace.Query{Prompt: prompt, Subject: q.Subject, Answer: q.Target, Occurrence: cmp.Or(where, text.First)}
	if _, _, err := text.Find(prompt, q.Subject, query.Occurrence); err != nil {
		return wrong("subject", "%v", err)
	}
	return s.launch(w, r, "trace", func(ctx context.Context, j *job) (any, error) {
		m, err := s.changed(q.Edits)
		if err != nil {
			return nil, err
		}
		cfg := trace.Default()
		cfg.Samples = q.Samples
		return s.desk.trace(ctx, j, query, cfg, m)
	})
}

func (d *desk) trace(ctx context.Context, j *job, q trace.Query, cfg trace.Config, m *changed) (*traceBody, error) {
	blocks := d.bench.Model.Config.Layers
	out := &traceBody{Blocks: blocks, Edits: len(m.list)}
	kinds := []struct {
		name string
		to   *[][]float64
	}{{trace.Hidden, &out.Hidden}, {trace.MLP, &out.MLP}, {trace.Attn, &out.Attn}}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	for i, k := range kinds {
		cfg.Restore = k.name
		t, err := trace.New(d.bench.Model, d.bench.Engine, cfg, nil)
		if err != nil {
			return nil, err
		}
		t.Progress = func(done, total int) {
			j.report(i*total+done, len(kinds)*total, "restoring "+k.name)
			if err := m.pause(); err != nil {
				stop(err)
			}
		}
		r, err := t.Trace(ctx, q)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			if errors.Is(err, trace.ErrUnknown) {
				return nil, wrong("target", "%v; leave the target out to trace what the model says", err)
			}
			return nil, err
		}
		out.Tokens, out.Subject = r.Tokens, [2]int{r.SubjectRange[0], r.SubjectRange[1] - 1}
		out.Answer, out.Clean, out.Corrupted = r.Answer, r.Clean, r.Corrupted
		*k.to = r.Scores
	}
	return out, nil
}
