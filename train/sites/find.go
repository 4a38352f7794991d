package sites

import (
	"context"
	"fmt"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/trace"
	"keyhole.example/keyhole/train"
)

// Options say how much is looked at.
type Options struct {
	Candidates int // places that are tried
	Blocks     int // blocks of a place
	Facts      int // known facts that are traced
}

// Found is what tracing and trials came to.
type Found struct {
	Facts  int     `json:"facts"`           // traced
	Block  int     `json:"suggested_block"` // with the largest effect at the subject
	Effect float64 `json:"total_effect"`
	Steps  int     `json:"steps"` // of a trial
	Trials []Trial `json:"trials"`
	Best   int     `json:"best"` // of trials
	File   string  `json:"file,omitempty"`

	model *lm.Model
}

// Observer is told how far it is.
type Observer interface {
	train.Observer
	Traced(known, facts int)
	Trying(c Candidate, i, n int) // candidate i of n, from 1 on
}

// Find traces the training edits of cfg and tries the places that come of it.
func Find(ctx context.Context, cfg train.Config, opt Options, src train.Sources, o Observer) (*Found, error) {
	e, err := train.NewEditor(cfg, src)
	if err != nil {
		return nil, err
	}
	defer e.Close()
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
	f := &Found{Facts: s.Facts, Block: s.Suggested, Effect: s.Total.Mean, Steps: cfg.Train.Steps, model: e.Model}
	for i, c := range list {
		o.Trying(c, i+1, len(list))
		t, err := Try(ctx, cfg, c, src, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(c.Sites, " "), err)
		}
		f.Trials = append(f.Trials, t)
	}
	f.Best = Best(f.Trials)
	return f, nil
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

// Defaults is the file of settings of the model; edits names what was traced.
func (f *Found) Defaults(edits string) []byte {
	b := f.Trials[f.Best]
	from := fmt.Sprintf("traced: mlp restored over %d facts of %s, total effect %.4f; most at the last subject token in block %d", f.Facts, edits, f.Effect, f.Block)
	tried := fmt.Sprintf("keyhole sites on %s: the best of %d places after %d steps, loss %.3f", edits, len(f.Trials), f.Steps, b.Loss)
	return family.Traced(f.model, f.Block, from, &family.Places{From: tried, Sites: b.Sites, Rows: b.Rows})
}
