package main

import (
	"slices"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/compare"
	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/train"
)

// locateComparison finds the models and data that a comparison names.
func locateComparison(c *cobra.Command, cfg *compare.Config) error {
	var err error
	if cfg.Model, err = findModel(c, cfg.Model); err != nil {
		return err
	}
	cfg.Demos.Exclude = slices.Clone(cfg.Demos.Exclude)
	err = findData(c, append(each(cfg.Demos.Exclude), &cfg.Data.Path, &cfg.Data.Neighbors, &cfg.Data.Locality, &cfg.Corpus, &cfg.Ability, &cfg.Demos.Path, &cfg.Demos.Neighbors)...)
	if err != nil {
		return err
	}
	for i := range cfg.Editors {
		if cfg.Editors[i].Set, err = findSettings(c, cfg.Editors[i].Set); err != nil {
			return err
		}
	}
	return nil
}

// readLocated reads configs as readConfig does, and finds what those of training
// runs name.
func readLocated(c *cobra.Command) func(string, any, []string) (*configs.Resolved, error) {
	return func(name string, into any, set []string) (*configs.Resolved, error) {
		r, err := readConfig(name, into, set)
		cfg, ok := into.(*train.Config)
		if err != nil || !ok {
			return r, err
		}
		f, err := newFinder(c)
		if err != nil {
			return nil, err
		}
		return r, f.config(cfg)
	}
}
