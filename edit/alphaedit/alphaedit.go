package alphaedit

import (
	"errors"
	"fmt"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/spread"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Editor makes edits by AlphaEdit. It may be used by several goroutines, one
// model at a time each.
type Editor struct {
	*spread.Editor
	k       *kernel.Engine
	cfg     Config
	moments stats.Source
}

// New returns an editor that computes with k.
func New(k *kernel.Engine, c Config, moments stats.Source) (*Editor, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("alphaedit: %w", err)
	}
	if moments == nil {
		return nil, errors.New("alphaedit: statistics of the layers' inputs are needed; collect them first")
	}
	ed := &Editor{k: k, cfg: c, moments: moments}
	ed.Editor = spread.New(k, spread.Method{
		Name: "alphaedit", Config: c.Config, Layers: c.Layers, LossLayer: c.LossLayer,
		System: ed.system, History: true, Replace: c.Replace,
	})
	return ed, nil
}

// system finds the kept directions of all sites.
func (ed *Editor) system(m *lm.Model, sites []lm.Site, report *edit.Edited, requests, earlier int) (spread.System, error) {
	s := &system{lambda: ed.cfg.L2}
	for _, site := range sites {
		moment, err := ed.moments.Of(m, site)
		if err != nil {
			return nil, err
		}
		spectrum, err := moment.Spectrum(ed.k)
		if err != nil {
			return nil, err
		}
		kept, err := ed.kept(spectrum, site, requests, earlier)
		if err != nil {
			return nil, err
		}
		s.sites = append(s.sites, basis{kept: spectrum.Lowest(kept), width: moment.Width, block: site.Block})
		add := func(name string, value any) { report.Add(fmt.Sprintf("%s[%d]", name, site.Block), value) }
		add("statistics", moment.Origin())
		add("kept_directions", fmt.Sprintf("%d of %d", kept, moment.Width))
		if kept > 0 {
			add("largest_kept_eigenvalue", spectrum.Values[kept-1])
		}
		if kept < moment.Width {
			add("smallest_dropped_eigenvalue", spectrum.Values[kept])
		}
		add("kept_share_of_trace", spectrum.Sum(kept)/spectrum.Sum(moment.Width))
	}
	return s, nil
}

// kept is the number of directions that the config keeps of a spectrum. Each edit
// of a sequence takes one.
func (ed *Editor) kept(s *stats.Spectrum, site lm.Site, requests, earlier int) (int, error) {
	key, kept := "nullspace_share", s.Share(ed.cfg.Share)
	if ed.cfg.Threshold > 0 {
		key, kept = "nullspace_threshold", s.Below(ed.cfg.Threshold)
	}
	n := len(s.Values)
	problem, way := "", "larger"
	switch {
	case kept == 0:
		problem = fmt.Sprintf("keeps none of the %d directions of %s, so nothing can be written there", n, site.Name)
	case kept == n:
		problem, way = fmt.Sprintf("keeps all %d directions of %s, so nothing is preserved there", n, site.Name), "smaller"
	case kept < requests:
		problem = fmt.Sprintf("keeps %d of the %d directions of %s, fewer than the %d requests", kept, n, site.Name, requests)
	case kept < requests+earlier:
		problem = fmt.Sprintf("keeps %d of the %d directions of %s, and the memory is full: it holds %d earlier edits, and %d more do not fit", kept, n, site.Name, earlier, requests)
	}
	if problem == "" || ed.cfg.Force {
		return kept, nil
	}
	return 0, fmt.Errorf("%s: it %s (eigenvalues from %.3g to %.3g, median %.3g); set a %s one, or force", key, problem, s.Values[0], s.Values[n-1], s.Values[n/2], way)
}
