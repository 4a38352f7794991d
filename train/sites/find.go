package sites

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/trace"
	"keyhole.example/keyhole/train"
)

// Options say how much is looked at.
type Options struct {
	Candidates int // places that are tried
	Blocks     int // blocks of a place
	Facts      int // known facts that are traced

	Name string // of the edits, as the settings name them
	File string // for the settings, which must not be there; "": family.UserFile
}

// Found is what tracing and trials came to.
type Found struct {
	Facts  int     `json:"facts"`           // traced
	Block  int     `json:"suggested_block"` // with the largest effect at the subject
	Effect float64 `json:"total_effect"`
	Steps  int     `json:"steps"` // of a trial
	Trials []Trial `json:"trials"`
	Best   int     `json:"best"`           // of trials
	File   string  `json:"file,omitempty"` // with the settings
}

// Observer is told how far it is.
type Observer interface {
	train.Observer
	Traced(known, facts int)
	Trying(c Candidate, i, n int) // candidate i of n, from 1 on
}

// Find traces the training edits of cfg, tries the places that come of it, and writes
// the settings of the best.
func Find(ctx context.Context, cfg train.Config, opt Options, src train.Sources, o Observer) (*Found, error) {
	e, err := train.NewEditor(cfg, src)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	if opt.File == "" {
		if opt.File, err = family.UserFile(e.Model); err != nil {
			return nil, err
		}
	}
	if err := family.Free(opt.File); err != nil {
		return nil, err
	}
	set, err := src.TrainingEdits(cfg)
	if err != nil {
		return nil, err
	}
	s, err := Trace(ctx, e.Model, e.Engine, trace.Default(), inOrder(cfg.Seed, set.Edits), opt.Facts, func(known int) { o.Traced(known, opt.Facts) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", set.Name, err)
	}
	list, err := Candidates(s, e.Model.Config.Layers, opt.Blocks, opt.Candidates)
	if err != nil {
		return nil, err
	}
	f := &Found{Facts: s.Facts, Block: s.Suggested, Effect: s.Total.Mean, Steps: cfg.Train.Steps, File: opt.File}
	for i, c := range list {
		o.Trying(c, i+1, len(list))
		t, err := Try(ctx, cfg, c, src, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(c.Sites, " "), err)
		}
		f.Trials = append(f.Trials, t)
	}
	f.Best = Best(f.Trials)
	best := f.Trials[f.Best]
	tried := fmt.Sprintf("keyhole sites on %s: the best of %d places after %d steps, loss %.3f", opt.Name, len(f.Trials), f.Steps, best.Loss)
	return f, family.Write(f.File, e.Model, f.Block, s.Origin(opt.Name), &family.Places{From: tried, Sites: best.Sites, Rows: best.Rows})
}

// inOrder are the edits in an order that the seed gives, so that a file that stands
// in the order of its relations is not traced by its first alone.
func inOrder(seed uint64, edits []data.Edit) []data.Edit {
	var out []data.Edit
	for _, i := range data.Permutation(seed, 0, len(edits)) {
		out = append(out, edits[i])
	}
	return out
}

// Print writes it for people.
func (f *Found) Print(w io.Writer) error {
	t := &report.Table{Columns: []report.Column{{Name: "sites"}, {Name: "rows"}, {Name: "loss", Right: true}, {Name: "right", Right: true}, {Name: "stays", Right: true}, {Name: "seconds", Right: true}, {Name: "why"}}}
	for i, x := range f.Trials {
		name := strings.Join(x.Sites, " ")
		if i == f.Best {
			name += " *"
		}
		t.Row(name, x.Rows, fmt.Sprintf("%.3f", x.Loss), fmt.Sprintf("%.3f", x.Right), fmt.Sprintf("%.3f", x.Stability), fmt.Sprintf("%.0f", x.Seconds), x.Why)
	}
	p := report.To(w)
	p.Say("%d facts traced: block %d carries them at the subject\n", f.Facts, f.Block)
	p.Table(t)
	p.Say("\n* is the best, after %d steps; written: %s", f.Steps, f.File)
	if filepath.Dir(f.File) != family.UserFolder() {
		p.Say("to use it for this model from now on, put it into %s", family.UserFolder())
	}
	return p.Err()
}
