package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/mend"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/internal/resident"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/train"
)

// Footprint is what the start of an evaluation of a trained editor takes. All
// sizes are in MiB.
type Footprint struct {
	WeightsMiB float64         `json:"weights_mib"` // of the base model, in F32
	NetworkMiB float64         `json:"network_mib"` // of the editor's network, in F32
	BeforeEdit resident.Memory `json:"before_edit"`
}

// ModelRatio is the resident memory before the first edit, less the network,
// over the base model's F32 weights.
func (f Footprint) ModelRatio() float64 {
	return (f.BeforeEdit.RSS - f.NetworkMiB) / f.WeightsMiB
}

// Beginning is the start of an evaluation: a run or checkpoint folder, and a
// file of edits.
type Beginning struct {
	Editor string `json:"editor"`
	Data   string `json:"data"`
}

// Measure opens the trained editor, evaluates it on the first edit, and
// measures this process. A figure is good only in a process that did nothing
// else before.
func (s Beginning) Measure(ctx context.Context) (Footprint, error) {
	var f Footprint
	set, err := data.Load(s.Data, data.Options{Limit: 1})
	if err != nil {
		return f, err
	}
	e, _, err := train.OpenEditor(s.Editor, train.Sources{}, nil)
	if err != nil {
		return f, err
	}
	defer e.Model.Close()
	defer e.Engine.Close()
	f.WeightsMiB = float64(e.Model.Parameters()) * 4 / (1 << 20)
	f.NetworkMiB = float64(len(e.Net.Flat)) * 4 / (1 << 20)
	w := &firstEdit{inner: mend.New(e.Objective, e.Config.Hypernet.Name(), e.TextOptions(), e.Model.Tokenizer), before: &f.BeforeEdit}
	_, err = eval.Run(ctx, eval.Options{Model: e.Model, Engine: e.Engine, Editor: w, Set: set, Limit: 1})
	switch {
	case err != nil:
	case w.err != nil:
		err = w.err
	case f.BeforeEdit.RSS == 0:
		err = errors.New("the evaluation made no edit, so nothing was measured before it")
	}
	return f, err
}

// startRow measures the start of an evaluation of an editor of model, trained
// for one step in dir, by a process of its own: what the model takes against its
// weights in F32.
func startRow(ctx context.Context, self, root, name, model, dir string) (Row, error) {
	r := Row{Name: "start of an evaluation, " + name, Unit: "× the F32 weights", Target: "≤ 1.2"}
	if err := trainOneStep(ctx, dir, model, filepath.Join(root, "data", "zsre", "zsre_train.jsonl.gz")); err != nil {
		return r, err
	}
	var f Footprint
	if err := inChild(ctx, self, "--start", Beginning{dir, filepath.Join(root, "data", "zsre", "zsre_eval.jsonl.gz")}, &f); err != nil {
		return r, fmt.Errorf("%s: %w", r.Name, err)
	}
	r.Ours, r.OursMiB, r.PeerMiB = f.ModelRatio(), f.BeforeEdit.RSS-f.NetworkMiB, f.WeightsMiB
	r.OursSpread, r.MemoryRatio = Spread{r.Ours, r.Ours, r.Ours}, r.Ours
	return r, nil
}

// trainOneStep makes a run folder of the size of a real one.
func trainOneStep(ctx context.Context, dir, model, edits string) error {
	cfg := train.Default()
	cfg.Model.Path, cfg.Data.Train, cfg.Data.Limit, cfg.Hypernet.Rank = model, edits, 4, 1920
	cfg.Train.Steps, cfg.Train.Accumulate, cfg.Train.ValEvery, cfg.Train.SaveEvery = 1, 2, 0, 0
	r, err := configs.Load("", &cfg, configs.Options{})
	if err != nil {
		return err
	}
	w := &watcher{epoch: 1, batch: 2}
	l, err := train.Start(cfg, r, dir, false, train.Sources{}, w)
	if err != nil {
		return err
	}
	w.loop = l
	return errors.Join(l.Run(ctx), l.Close())
}

// firstEdit is a trained editor that measures before it edits. It has no more methods
// than every editor, so that no other way to edit leads around it.
type firstEdit struct {
	inner  *mend.Editor
	before *resident.Memory
	err    error
}

// Name implements edit.Editor.
func (w *firstEdit) Name() string { return w.inner.Name() }

// Apply implements edit.Editor.
func (w *firstEdit) Apply(ctx context.Context, m *lm.Model, r []edit.Request) (*edit.Edited, error) {
	if *w.before, w.err = resident.Read(); w.err != nil {
		return nil, w.err
	}
	return w.inner.Apply(ctx, m, r)
}
