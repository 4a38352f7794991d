package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/hub"
	"keyhole.example/keyhole/presets"
	"keyhole.example/keyhole/progress"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// findModel is the path of a base model that an argument or flag names.
func findModel(c *cobra.Command, name string) (string, error) {
	f, err := newFinder(c)
	if err != nil {
		return "", err
	}
	return f.model(name)
}

// findData replaces the names of data by paths.
func findData(c *cobra.Command, names ...*string) error {
	f, err := newFinder(c)
	if err != nil {
		return err
	}
	for _, n := range names {
		if *n, err = f.data(*n); err != nil {
			return err
		}
	}
	return nil
}

// findConfig replaces the names of models and data in a training config by paths.
func findConfig(c *cobra.Command, cfg *train.Config) error {
	f, err := newFinder(c)
	if err != nil {
		return err
	}
	return cfg.Locate(f.model, f.data)
}

// findCompanions replaces the names of the files that are read beside edits.
func findCompanions(c *cobra.Command, d *data.Options) error {
	d.Exclude = slices.Clone(d.Exclude)
	return findData(c, append(each(d.Exclude), &d.Neighbors, &d.Locality)...)
}

// each are pointers to the elements of a list.
func each(list []string) []*string {
	var out []*string
	for i := range list {
		out = append(out, &list[i])
	}
	return out
}

// findSettings replaces the models that key=value name, where the key is one that
// names one.
func findSettings(c *cobra.Command, set []string) ([]string, error) {
	f, err := newFinder(c)
	if err != nil {
		return nil, err
	}
	return catalog.Locate(set, f.model)
}

// findBase is where the base model of a run is: at model, or, where that is
// empty, where the run's config says, if it has to be looked for.
func findBase(c *cobra.Command, run, model string) (string, error) {
	if model != "" {
		return findModel(c, model)
	}
	name, err := train.BaseModel(run)
	if err != nil {
		return "", nil // whoever opens the run says what is wrong with it
	}
	path, err := findModel(c, name)
	switch {
	case err != nil:
		return "", fmt.Errorf("base model of %s: %w; --model says where it is now", run, err)
	case path == name:
		return "", nil
	}
	return path, nil
}

// finder turns names of models and data into paths, fetching what is missing
// and showing how far it is.
type finder struct {
	ctx    context.Context
	client *hub.Client
	shown  *progress.Fetching
}

func newFinder(c *cobra.Command) (*finder, error) {
	client, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return nil, err
	}
	f := &finder{ctx: c.Context(), client: client, shown: &progress.Fetching{To: c.ErrOrStderr()}}
	client.Progress = f.shown.Progress
	return f, nil
}

// model finds a base model; what the binary carries stays what it is.
func (f *finder) model(name string) (string, error) { return f.find(name, f.client.Model) }

// data finds a file of data.
func (f *finder) data(name string) (string, error) { return f.find(name, f.client.Data) }

func (f *finder) find(name string, look func(context.Context, string) (string, error)) (string, error) {
	if name == "" || name == workbench.Embedded {
		return name, nil
	}
	path, err := look(f.ctx, name)
	f.shown.Finish()
	return path, err
}

// readLocated reads configs as presets.Read does, and finds what those of training runs
// name.
func readLocated(c *cobra.Command) func(string, any, []string) (*configs.Resolved, error) {
	return func(name string, into any, set []string) (*configs.Resolved, error) {
		r, err := presets.Read(name, into, set)
		cfg, ok := into.(*train.Config)
		if err != nil || !ok {
			return r, err
		}
		return r, findConfig(c, cfg)
	}
}
