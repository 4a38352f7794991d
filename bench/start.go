package bench

import (
	"context"
	"time"

	"keyhole/data"
	"keyhole/edit"
	"keyhole/edit/mend"
	"keyhole/eval"
	"keyhole/lm"
	"keyhole/train"
)

// Footprint is what the start of an evaluation of a trained editor takes. All
// sizes are in MiB.
type Footprint struct {
	WeightsMiB   float64  `json:"weights_mib"` // of the base model, in F32
	NetworkMiB   float64  `json:"network_mib"` // of the editor's network, in F32
	BeforeEdit   Resident `json:"before_edit"`
	FirstResult  Resident `json:"first_result"`
	EditSeconds  float64  `json:"edit_seconds"`  // until the first edit begins
	FirstSeconds float64  `json:"first_seconds"` // until its result is there
}

// ModelRatio is the resident memory before the first edit, less the network,
// over the base model's F32 weights.
func (f Footprint) ModelRatio() float64 {
	return (f.BeforeEdit.RSS - f.NetworkMiB) / f.WeightsMiB
}

// Start opens a trained editor from a run or checkpoint folder, evaluates it on
// the first edit of set, and measures this process. A figure is good only in a
// process that did nothing else before.
func Start(ctx context.Context, run string, set *data.Set) (Footprint, error) {
	var f Footprint
	begin := time.Now()
	e, _, err := train.OpenEditor(run, train.Sources{}, nil)
	if err != nil {
		return f, err
	}
	defer e.Model.Close()
	defer e.Engine.Close()
	f.WeightsMiB = float64(e.Model.Parameters()) * 4 / (1 << 20)
	f.NetworkMiB = float64(len(e.Net.Flat)) * 4 / (1 << 20)
	w := &firstEdit{Editor: mend.New(e.Objective, e.Config.Hypernet.Kind, e.TextOptions(), e.Model.Tokenizer), f: &f, begin: begin}
	_, err = eval.Run(ctx, eval.Options{Model: e.Model, Engine: e.Engine, Editor: w, Set: set, Limit: 1})
	if err == nil {
		err = w.err
	}
	if err != nil {
		return f, err
	}
	f.FirstSeconds = time.Since(begin).Seconds()
	f.FirstResult, err = resident()
	return f, err
}

// firstEdit is a trained editor that measures before it edits.
type firstEdit struct {
	*mend.Editor
	f     *Footprint
	begin time.Time
	err   error
}

// Apply implements edit.Editor.
func (w *firstEdit) Apply(ctx context.Context, m *lm.Model, r []edit.Request) (*edit.Edited, error) {
	w.f.EditSeconds = time.Since(w.begin).Seconds()
	if w.f.BeforeEdit, w.err = resident(); w.err != nil {
		return nil, w.err
	}
	return w.Editor.Apply(ctx, m, r)
}
