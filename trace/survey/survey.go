// Package survey traces a fact, or all facts of a file that a model knows, state after
// state, and writes tables and heat maps of it into a folder. What is traced is kept
// there, fact by fact, so an interrupted survey goes on; several processes may share the
// facts.
//
// Read survey.go, facts.go (who traces which), log.go (what is kept), found.go.
package survey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/trace"
)

// Survey says what is traced, and where that is written.
type Survey struct {
	Query trace.Query                 // of one fact; the zero value: Facts
	Facts *data.Collection[data.Fact] // to be averaged over
	File  string                      // where they come from
	Limit int                         // known facts that are traced; 0: all

	How      trace.Query // Join and Occurrence, for every fact
	Chat     bool        // prompts stand in the model's chat template
	Restores []string    // states to restore, one after the other
	Out      string      // folder
	Team     mpi.Team    // processes that share the facts, each of which calls Run; nil: this one alone
	Notes    io.Writer   // how far it is

	ask func(string) (string, error) // a prompt as it is put to the model
}

// Run traces with a configuration for each of Restores. In a team, process 0 writes and
// has what is found.
func (s *Survey) Run(ctx context.Context, m *lm.Model, k *kernel.Engine, cfg trace.Config) (*Found, error) {
	hash, err := m.Hash()
	if err != nil {
		return nil, err
	}
	out := &Found{Model: hash, LeftOut: map[string]int{}}
	s.ask = func(prompt string) (string, error) { return prompt, nil }
	if s.Chat {
		template, err := m.Chat()
		if err != nil {
			return nil, err
		}
		s.ask, s.How.Join = template.Ask, data.JoinNone // the template says how answers begin
	}
	if err := s.compareTeam(hash, cfg); err != nil {
		return nil, err
	}
	if !mpi.Leads(s.Team) {
		return out, s.help(ctx, m, k, cfg)
	}
	forget, err := atomicfile.MakeDir(s.Out)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	defer forget() // if nothing was written
	held, err := lock.Folder(s.Out)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	defer func() { _ = held.Unlock() }()
	for _, restore := range s.Restores {
		cfg.Restore = restore
		if s.Facts == nil {
			err = s.one(ctx, m, k, cfg, out)
		} else {
			err = s.average(ctx, m, k, cfg, out)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// one traces the query.
func (s *Survey) one(ctx context.Context, m *lm.Model, k *kernel.Engine, cfg trace.Config, out *Found) error {
	t, err := trace.New(m, k, cfg, nil)
	if err != nil {
		return err
	}
	task := console.Of(s.Notes).Begin("trace "+cfg.Restore, 0, m.Config.Layers)
	t.Progress = func(done, _ int) { task.Set(done) }
	q := s.Query
	q.Join, q.Occurrence = s.How.Join, s.How.Occurrence
	var marked text.Occurrence
	if q.Prompt, marked, err = text.Fill(q.Prompt, q.Subject); err != nil {
		return err
	}
	if marked != "" {
		q.Occurrence = marked
	}
	if q.Prompt, err = s.ask(q.Prompt); err != nil {
		return err
	}
	r, err := t.Trace(ctx, q)
	task.End()
	if stop := context.Cause(ctx); stop != nil {
		return stop
	}
	if err != nil {
		return err
	}
	out.Results = append(out.Results, r)
	return s.write(cfg.Restore, r, r.Rows(), r.WriteHeatMap, out)
}

// average traces the facts that the model knows.
func (s *Survey) average(ctx context.Context, m *lm.Model, k *kernel.Engine, cfg trace.Config, out *Found) error {
	t, err := s.tracer(m, k, cfg)
	if err != nil {
		return err
	}
	limit := len(s.Facts.Items)
	if s.Limit > 0 {
		limit = min(s.Limit, limit)
	}
	log, err := openLog(filepath.Join(s.Out, cfg.Restore+".facts.jsonl"), header{Version: 1, Model: out.Model, Facts: s.Facts.SHA256, Config: cfg, Known: "answer", Join: s.How.Join, Occurrence: s.How.Occurrence, Chat: s.Chat})
	if err != nil {
		return err
	}
	var mean trace.Average
	task := console.Of(s.Notes).Begin("trace "+cfg.Restore, 0, limit)
	task.Loses(func() string { return "the fact in progress; those before are in " + s.Out })
	err = s.traceAll(ctx, t, log, limit, func(r *trace.Result) error {
		task.Set(mean.N()+1, fmt.Sprintf("%d unknown", out.Unknown))
		return mean.Add(r)
	}, out)
	task.End()
	if err := errors.Join(err, log.close()); err != nil {
		if context.Cause(ctx) != nil && log.file != nil {
			fmt.Fprintf(s.Notes, "what was traced is in %s; type the same command again to go on\n", s.Out)
		}
		return err
	}
	sum, err := mean.Summary()
	if err != nil {
		return fmt.Errorf("%s: %w", s.File, err)
	}
	out.Summaries = append(out.Summaries, sum)
	return s.write(cfg.Restore, sum, sum.Rows(), sum.WriteHeatMap, out)
}

// write puts one kind's JSON, table and heat maps into the folder.
func (s *Survey) write(name string, v any, rows [][]string, draw func(path string) error, out *Found) error {
	base := filepath.Join(s.Out, name)
	err := atomicfile.Write(base+".json", func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
	if err != nil {
		return err
	}
	if err := atomicfile.Write(base+".txt", func(w io.Writer) error { return report.Grid(rows).WriteText(w, report.Layout{}) }); err != nil {
		return err
	}
	for _, ext := range []string{".png", ".svg"} {
		if err := draw(base + ext); err != nil {
			return err
		}
	}
	for _, ext := range []string{".json", ".txt", ".png", ".svg"} {
		out.Files = append(out.Files, base+ext)
	}
	return nil
}
