package workbench

import (
	"context"
	"fmt"

	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/hub"
	"keyhole.example/keyhole/train"
)

// Finder turns names of models and data into paths, and fetches what is not here yet.
// What the binary carries, and no name, stay what they are.
type Finder struct {
	Hub  *hub.Client
	Done func() // called after each look; nil: nobody is told
}

// Located is a configuration that names models and data.
type Located interface {
	Locate(model, data func(name string) (string, error)) error
}

// Model is the path of a base model.
func (f *Finder) Model(ctx context.Context, name string) (string, error) {
	return f.find(ctx, name, f.Hub.Model)
}

// Data replaces names of data by paths.
func (f *Finder) Data(ctx context.Context, names ...*string) (err error) {
	for _, n := range names {
		if *n, err = f.find(ctx, *n, f.Hub.Data); err != nil {
			return err
		}
	}
	return nil
}

// Config replaces the names in a configuration.
func (f *Finder) Config(ctx context.Context, c Located) error {
	return c.Locate(
		func(name string) (string, error) { return f.Model(ctx, name) },
		func(name string) (string, error) { return f.find(ctx, name, f.Hub.Data) },
	)
}

// Settings replaces the models that overrides of an editor's config, "key=value", name.
func (f *Finder) Settings(ctx context.Context, set []string) ([]string, error) {
	return catalog.Locate(set, func(name string) (string, error) { return f.Model(ctx, name) })
}

// Base is where the base model of a run is: at model, or, where that is empty, where the
// run's config says, if it has to be looked for.
func (f *Finder) Base(ctx context.Context, run, model string) (string, error) {
	if model != "" {
		return f.Model(ctx, model)
	}
	name, err := train.BaseModel(run)
	if err != nil {
		return "", nil // whoever opens the run says what is wrong with it
	}
	path, err := f.Model(ctx, name)
	switch {
	case err != nil:
		return "", fmt.Errorf("base model of %s: %w; --model says where it is now", run, err)
	case path == name:
		return "", nil
	}
	return path, nil
}

func (f *Finder) find(ctx context.Context, name string, look func(context.Context, string) (string, error)) (string, error) {
	if name == "" || name == Embedded {
		return name, nil
	}
	path, err := look(ctx, name)
	if f.Done != nil {
		f.Done()
	}
	return path, err
}
