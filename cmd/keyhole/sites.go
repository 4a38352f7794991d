package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/progress"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/train/sites"
	"keyhole.example/keyhole/workbench"
)

// sitesFlags say what is traced and tried.
type sitesFlags struct {
	sites.Options
	edits, split string
	steps        int
	set          []string
}

func sitesCommand(o *options) *cobra.Command {
	var f sitesFlags
	c := &cobra.Command{
		Use:   "sites MODEL",
		Short: "Find where an editor is best trained to edit a model",
		Long: `Trace where the facts of --data are (the MLP outputs that bring the model's old answers
back), train the learned editor for --steps steps at each of --candidates places, and
print what each came to on validation edits: loss, share of answers right, and share of
answers that had to stay and did.

The place with the lowest loss, and the block that the trace suggests for ROME, become
the settings of models of this shape: a training whose config names no sites and no
blocks takes them from then on. --write-defaults writes them into another file.`,
		Example: `  keyhole sites embedded --data embedded
  keyhole sites models/smollm2 --data counterfact/flat --candidates 3 --steps 100
  keyhole sites models/gpt2 --data facts.yaml --write-defaults gpt2.yaml --set hypernet.rank=128`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := f.config(c, o, args[0])
			if err != nil {
				return err
			}
			found, err := sites.Find(c.Context(), cfg, f.Options, workbench.Sources(), progress.On(c.ErrOrStderr()))
			if stop := stopped(c); stop != nil {
				return stop
			}
			if err != nil {
				return err
			}
			return o.show(c, found, found.Print)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.edits, "data", "", "`file` of edits with subjects and old answers, or a data set's name")
	fs.StringVar(&f.split, "split", "", "`split` of the file, where it has splits")
	fs.IntVar(&f.Candidates, "candidates", 4, "places that are tried")
	fs.IntVar(&f.Blocks, "blocks", 4, "blocks of a place")
	fs.IntVar(&f.steps, "steps", sites.Default().Train.Steps, "optimiser steps at each place, of ten edits each")
	fs.IntVar(&f.Facts, "facts", 40, "known facts that are traced")
	fs.StringVar(&f.File, "write-defaults", "", "YAML `file` for the settings (default: one of the model's shape in keyhole's folder of families)")
	fs.StringArrayVar(&f.set, "set", nil, "override a key of the trials' config: `key=value` (keyhole config explain train)")
	return c
}

// config checks the flags and makes the trials' config.
func (f *sitesFlags) config(c *cobra.Command, o *options, model string) (train.Config, error) {
	cfg := sites.Default()
	switch {
	case f.edits == "":
		return cfg, wrongUse("--data is missing: name a file of edits")
	case f.Candidates < 1 || f.Blocks < 1 || f.steps < 1 || f.Facts < 1:
		return cfg, wrongUse("--candidates, --blocks, --steps and --facts: %d, %d, %d and %d must be at least 1", f.Candidates, f.Blocks, f.steps, f.Facts)
	case f.File != "" && filepath.Ext(f.File) != ".yaml":
		return cfg, wrongUse("--write-defaults %s: the name of a file of settings ends in .yaml", f.File)
	case f.File == "" && family.UserFolder() == "":
		return cfg, wrongUse("--write-defaults is missing, and this system has no folder for settings: name a file")
	}
	set := append([]string{"model.path=" + model, "data.train=" + f.edits, "data.split=" + f.split, fmt.Sprintf("train.steps=%d", f.steps)}, f.set...)
	if _, err := configs.Read("sites", nil, &cfg, configs.Options{Set: set}); err != nil {
		return cfg, err
	}
	if err := findConfig(c, &cfg); err != nil {
		return cfg, err
	}
	cfg.Threads, f.Name = o.threadsFor(cfg.Threads), filepath.Base(f.edits)
	return cfg, nil
}
