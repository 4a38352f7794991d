package main

import (
	"os"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/hub"
	"keyhole.example/keyhole/presets"
	"keyhole.example/keyhole/progress"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// newFinder finds models and data by name, and shows how far what is fetched is.
func newFinder(c *cobra.Command) (*workbench.Finder, error) {
	client, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return nil, err
	}
	shown := &progress.Fetching{To: c.ErrOrStderr()}
	client.Progress = shown.Progress
	return &workbench.Finder{Hub: client, Done: shown.Finish}, nil
}

// findModel is the path of a base model that an argument or flag names.
func findModel(c *cobra.Command, name string) (string, error) {
	f, err := newFinder(c)
	if err != nil {
		return "", err
	}
	return f.Model(c.Context(), name)
}

// findData replaces the names of data by paths.
func findData(c *cobra.Command, names ...*string) error {
	f, err := newFinder(c)
	if err != nil {
		return err
	}
	return f.Data(c.Context(), names...)
}

// findConfig replaces the names of models and data in a config by paths.
func findConfig(c *cobra.Command, cfg workbench.Located) error {
	f, err := newFinder(c)
	if err != nil {
		return err
	}
	return f.Config(c.Context(), cfg)
}

// findBase is where the base model of a run is, which --model may say.
func findBase(c *cobra.Command, run, model string) (string, error) {
	f, err := newFinder(c)
	if err != nil {
		return "", err
	}
	return f.Base(c.Context(), run, model)
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
