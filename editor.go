package keyhole

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// Editor makes edits to its model.
type Editor struct {
	model *Model
	bench *workbench.Bench
}

// Edit is an edit that a model has, until it is undone.
type Edit struct {
	model     *Model
	edited    *edit.Edited
	uninstall func()
}

// Editors are the names of the editors that need no training.
func Editors() []string { return catalog.Names() }

// Editor makes an editor that needs no training, by name; Settings override its
// config.
func (m *Model) Editor(ctx context.Context, name string, options ...Option) (*Editor, error) {
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	entry, err := catalog.Find(name)
	if err != nil {
		return nil, err
	}
	if entry.InContext {
		return nil, fmt.Errorf("editor %s: %w; the program's store keeps such edits", name, ErrNoWeights)
	}
	b := &workbench.Bench{Base: m.bench.Base, Model: m.bench.Model, Engine: m.bench.Engine}
	return &Editor{m, b}, b.Use(ctx, name, collect(options).set)
}

// Train meta-trains a network that edits this model (MEND) on facts, and returns
// it. The config is that of the preset own-facts, with Steps and Settings on top.
// With fewer than ten facts there is no validation.
func (m *Model) Train(ctx context.Context, facts []Fact, options ...Option) (*Editor, error) {
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	set, err := setOf(facts)
	if err != nil {
		return nil, err
	}
	s := collect(options)
	if s.run == "" {
		if s.run, err = os.MkdirTemp("", "keyhole-run-*"); err != nil {
			return nil, err
		}
		m.temp = append(m.temp, s.run)
	}
	file := filepath.Join(s.run, "facts.jsonl")
	if err := writeFacts(file, set.Edits); err != nil {
		return nil, err
	}
	text, ok := configs.Preset("own-facts")
	if !ok {
		return nil, fmt.Errorf("preset own-facts is missing")
	}
	path := m.name
	if path == Embedded {
		path = ""
	}
	over := []string{"model.path=" + path, "data.train=" + file, fmt.Sprintf("threads=%d", s.threads)}
	if s.steps > 0 {
		over = append(over, fmt.Sprintf("train.steps=%d", s.steps))
	}
	cfg := train.Default()
	r, err := configs.Read("own-facts", text, &cfg, configs.Options{Set: append(over, s.set...)})
	if err != nil {
		return nil, err
	}
	cfg.Model.Path = "" // the model is open already
	l, err := train.Start(cfg, r, s.run, false, m.sources(), &teller{settings: s})
	if err != nil {
		return nil, err
	}
	err = workbench.Run(ctx, l)
	if cerr := l.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	return m.OpenEditor(ctx, s.run, options...)
}

func writeFacts(path string, edits []data.Edit) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error { return data.WriteEdits(w, edits) })
}

// sources give this model where a config names none.
func (m *Model) sources() train.Sources {
	return train.Sources{Model: func() (*lm.Model, error) { return m.bench.Model, nil }, Edits: workbench.Sources().Edits}
}

// OpenEditor opens the editor of a run or checkpoint folder that was trained for
// this model.
func (m *Model) OpenEditor(ctx context.Context, run string, options ...Option) (*Editor, error) {
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	s := collect(options)
	e, _, err := train.OpenEditor(run, m.sources(), func(c *train.Config) {
		c.Model.Path, c.Threads = "", cmp.Or(s.threads, c.Threads)
	})
	if err != nil {
		return nil, err
	}
	return &Editor{m, workbench.Trained(e)}, nil
}

// Name is the editor's name in tables.
func (e *Editor) Name() string { return e.bench.Editor.Name() }

// Edit makes the model say the facts' targets, all together, until Undo.
func (e *Editor) Edit(ctx context.Context, facts ...Fact) (*Edit, error) {
	if err := e.model.open(ctx); err != nil {
		return nil, err
	}
	set, err := setOf(facts)
	if err != nil {
		return nil, err
	}
	var requests []edit.Request
	for i := range set.Edits {
		requests = append(requests, edit.Requests(&set.Edits[i])...)
	}
	done, err := e.bench.Editor.Apply(ctx, e.model.bench.Model, requests)
	if err != nil {
		return nil, err
	}
	if len(done.Changes) == 0 {
		return nil, ErrNoWeights
	}
	x := &Edit{model: e.model, edited: done}
	return x, e.model.put([]*Edit{x})
}

// Undo takes the edit out of the model. Later edits stay; they were computed on a
// model that had this one.
func (x *Edit) Undo() error {
	if x.model.bench == nil {
		return ErrClosed
	}
	i := slices.Index(x.model.edits, x)
	if i < 0 {
		return nil
	}
	later := slices.Clone(x.model.edits[i+1:])
	x.model.take(i)
	return x.model.put(later)
}

// Figures are what the editor reports about the edit (loss, norms, …).
func (x *Edit) Figures() map[string]any {
	out := map[string]any{}
	for _, f := range x.edited.Report {
		out[f.Name] = f.Value
	}
	return out
}

// Report is how an editor does on facts: shares from 0 to 1, means over the facts
// that can tell.
type Report struct {
	Facts          int
	Reliability    float64 // the prompt gets the target
	Generalization float64 // the paraphrases do; 0 where there are none
	Locality       float64 // the neighbours keep their answers
	// Metrics are all figures by their names (docs/formats/results.md).
	Metrics map[string]float64
}

// Evaluate makes each fact's edit alone, asks, and takes it back. Edits that the
// model has already stay.
func (e *Editor) Evaluate(ctx context.Context, facts []Fact, options ...Option) (*Report, error) {
	if err := e.model.open(ctx); err != nil {
		return nil, err
	}
	set, err := setOf(facts)
	if err != nil {
		return nil, err
	}
	s := collect(options)
	r, err := e.bench.Evaluate(ctx, eval.Options{Set: set, Progress: func(p eval.Progress) {
		s.tell(Progress{Stage: "evaluate", Done: int64(p.Done), Total: int64(p.Total)})
	}})
	if err != nil {
		return nil, err
	}
	out := &Report{r.N, r.Reliability, r.Generalization, r.Locality, map[string]float64{}}
	for name, f := range r.Metrics {
		out.Metrics[name] = f.Mean
	}
	return out, nil
}
