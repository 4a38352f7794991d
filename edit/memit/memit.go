package memit

import (
	"errors"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/spread"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Editor makes edits by MEMIT. It may be used by several goroutines, one model
// at a time each.
type Editor struct {
	*spread.Editor
	cfg     Config
	moments stats.Source
}

// New returns an editor that computes with k.
func New(k *kernel.Engine, c Config, moments stats.Source) (*Editor, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("memit: %w", err)
	}
	if moments == nil {
		return nil, errors.New("memit: statistics of the layers' inputs are needed; collect them first")
	}
	ed := &Editor{cfg: c, moments: moments}
	ed.Editor = spread.New(k, spread.Method{
		Name: "memit", Config: c.Config, Layers: c.Layers, LossLayer: c.LossLayer,
		System: ed.system, History: c.History, Replace: true,
	})
	return ed, nil
}

// system factorises the second moments of all sites.
func (ed *Editor) system(m *lm.Model, sites []lm.Site, report *edit.Edited, _, _ int) (spread.System, error) {
	s := &system{lambda: ed.cfg.Weight}
	for _, site := range sites {
		moment, err := ed.moments.Of(m, site)
		if err != nil {
			return nil, err
		}
		f, err := moment.Factor(ed.cfg.Ridge)
		if err != nil {
			return nil, err
		}
		s.moments = append(s.moments, f)
		report.Add(fmt.Sprintf("statistics[%d]", site.Block), fmt.Sprintf("%s, ridge %g", moment.Origin(), f.Ridge))
	}
	return s, nil
}

// moment is a positive definite matrix C.
type moment interface {
	SolveAll(k mat.Matrix) (*mat.Dense, error)
}
