package workbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/train"
)

// Watcher is told how long work on a bench goes on.
type Watcher interface {
	// Collecting tells how many tokens of a text statistics have gone over.
	Collecting(text string, done, total int)
	// Collected ends that, with what there is now.
	Collected(text string, moments []*stats.Moment)
}

// Bench is a base model with an editor, or without one yet. It is for one
// goroutine at a time.
type Bench struct {
	Base   string // by what name or path the model was opened
	Model  *lm.Model
	Engine *kernel.Engine
	Editor edit.Editor
	Made   catalog.Made // what Editor was made of; zero for a trained one
	Config train.Config // of a trained editor
	Notes  []string     // what loading the trained editor took for granted

	Corpus  string  // text for statistics; "": the embedded one
	Demos   Demos   // edits for demonstrations
	Watcher Watcher // nil: nobody is told

	closers []func() error
}

// OpenModel loads a base model with its tokenizer: a folder, a GGUF file, or the
// embedded one.
func OpenModel(path string, opts lm.LoadOptions) (*lm.Model, error) {
	m, err := LoadModel(path, opts)
	if err != nil {
		return nil, err
	}
	if m.Tokenizer == nil {
		return nil, errors.Join(fmt.Errorf("%s: the model has no tokenizer; put tokenizer.json beside its weights", path), m.Close())
	}
	return m, nil
}

// Open loads a base model, without an editor yet. threads is 0 for all cores.
func Open(path string, threads int, opts lm.LoadOptions) (*Bench, error) {
	m, err := OpenModel(path, opts)
	if err != nil {
		return nil, err
	}
	k, err := kernel.New(kernel.Options{Threads: threads})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return &Bench{Base: path, Model: m, Engine: k}, nil
}

// Close releases the model and what editors hold open.
func (b *Bench) Close() error {
	var errs []error
	for _, f := range b.closers {
		errs = append(errs, f())
	}
	return errors.Join(append(errs, b.Model.Close())...)
}

// Use makes an editor of the bench's model by name, with overrides of its
// configuration, in the place of the one before.
func (b *Bench) Use(ctx context.Context, name string, set []string) error {
	entry, err := catalog.Find(name)
	if err != nil {
		return err
	}
	config, _, err := entry.Config(b.Model, set)
	if err != nil {
		return err
	}
	built, err := entry.Build(ctx, catalog.Ingredients{
		Model: b.Model, Engine: b.Engine, Moments: b.moments, Demos: b.Demos.Load, Trained: b.trainedHere,
	}, config)
	if err != nil {
		return err
	}
	b.Editor, b.Made = built.Editor, built.Made
	b.closers = append(b.closers, built.Close)
	return nil
}

// InContext reports whether the bench's editor changes no weights.
func (b *Bench) InContext() bool {
	e, err := catalog.Find(b.Made.Editor)
	return err == nil && e.InContext
}

// Evaluate evaluates the bench's editor. It makes the folder of the results
// file.
func (b *Bench) Evaluate(ctx context.Context, o eval.Options) (*eval.Report, error) {
	var err error
	if o.EditorConfig, err = b.Made.Hash(); err != nil {
		return nil, err
	}
	if o.Out != "" {
		if err := os.MkdirAll(filepath.Dir(o.Out), 0o777); err != nil {
			return nil, fmt.Errorf("results: %w", err)
		}
	}
	o.Model, o.Engine, o.Editor = b.Model, b.Engine, b.Editor
	return eval.Run(ctx, o)
}
