package memit

import (
	"context"
	"errors"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/edit/spread"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Editor makes edits by MEMIT. It may be used by several goroutines, one model
// at a time each.
type Editor struct {
	e        *kernel.Engine
	cfg      Config
	moments  stats.Source
	contexts keyvalue.ContextCache
}

var (
	_ edit.Continuer = (*Editor)(nil)
	_ edit.Opener    = (*Editor)(nil)
)

// New returns an editor that computes with e.
func New(e *kernel.Engine, c Config, moments stats.Source) (*Editor, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("memit: %w", err)
	}
	if moments == nil {
		return nil, errors.New("memit: statistics of the layers' inputs are needed; collect them first")
	}
	return &Editor{e: e, cfg: c, moments: moments}, nil
}

// Name implements edit.Editor.
func (ed *Editor) Name() string { return "memit" }

// Apply implements edit.Editor: one change of each edited weight from all
// requests together.
func (ed *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	return ed.Continue(ctx, m, nil, requests)
}

// Continue implements edit.Continuer: with history, the keys of earlier edits
// stand in the system.
func (ed *Editor) Continue(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	sites, err := ed.cfg.EditedSites(m)
	if err != nil {
		return nil, fmt.Errorf("memit: %w", err)
	}
	out, err := spread.Run(ctx, m, spread.Job{
		Editor: ed.Name(), Engine: ed.e, Config: ed.cfg.Config, LossLayer: ed.cfg.LossLayer, Contexts: &ed.contexts,
		Sites: sites, System: ed.system, History: ed.cfg.History, Replace: true,
	}, last, requests)
	if err != nil {
		return nil, fmt.Errorf("memit: %w", err)
	}
	return out, nil
}

// Open implements edit.Opener.
func (ed *Editor) Open(ctx context.Context, m *lm.Model, p edit.Packed) (edit.Memory, error) {
	sites, err := ed.cfg.EditedSites(m)
	if err != nil {
		return nil, fmt.Errorf("memit: %w", err)
	}
	h, err := spread.Open(ctx, m, p, sites)
	if err != nil {
		return nil, fmt.Errorf("memit: %w", err)
	}
	return h, nil
}

// system factorises the second moments of all sites.
func (ed *Editor) system(m *lm.Model, sites []lm.Site, report *edit.Edited) (spread.System, error) {
	s := &system{lambda: ed.cfg.Weight}
	for _, site := range sites {
		moment, err := ed.moments(m, site)
		if err != nil {
			return nil, err
		}
		if err := moment.Check(m, site); err != nil {
			return nil, err
		}
		f, err := moment.Factor(ed.cfg.Ridge)
		if err != nil {
			return nil, err
		}
		s.moments = append(s.moments, f)
		report.Add(fmt.Sprintf("statistics[%d]", site.Block), fmt.Sprintf("%d tokens of text %.8s, ridge %g", moment.Tokens, moment.Corpus, f.Ridge))
	}
	return s, nil
}

// moment is a positive definite matrix C.
type moment interface {
	SolveAll(k mat.Matrix) (*mat.Dense, error)
}
