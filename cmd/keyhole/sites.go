package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/progress"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/train/sites"
	"keyhole.example/keyhole/workbench"
)

// sitesFlags say what is traced and tried.
type sitesFlags struct {
	edits, split       string
	candidates, blocks int
	steps, facts       int
	defaults           string
	set                []string
	chosen             sites.Options
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
			found, err := sites.Find(c.Context(), cfg, f.chosen, workbench.Sources(), &placing{Screen: progress.On(c.ErrOrStderr()), c: console.Of(c.ErrOrStderr())})
			if stop := stopped(c); stop != nil {
				return stop
			}
			if err != nil {
				return err
			}
			if err := atomicfile.Write(f.defaults, func(w io.Writer) error {
				_, err := w.Write(found.Defaults(filepath.Base(f.edits)))
				return err
			}); err != nil {
				return err
			}
			found.File = f.defaults
			return o.show(c, found, func(w io.Writer) error { return printSites(w, found) })
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.edits, "data", "", "`file` of edits with subjects and old answers, or a data set's name")
	fs.StringVar(&f.split, "split", "", "`split` of the file, where it has splits")
	fs.IntVar(&f.candidates, "candidates", 4, "places that are tried")
	fs.IntVar(&f.blocks, "blocks", 4, "blocks of a place")
	fs.IntVar(&f.steps, "steps", sites.Default().Train.Steps, "optimiser steps at each place, of ten edits each")
	fs.IntVar(&f.facts, "facts", 40, "known facts that are traced")
	fs.StringVar(&f.defaults, "write-defaults", "", "YAML `file` for the settings (default: one of the model's shape in keyhole's folder of families)")
	fs.StringArrayVar(&f.set, "set", nil, "override a key of the trials' config: `key=value` (keyhole config explain train)")
	return c
}

// config checks the flags and makes the trials' config.
func (f *sitesFlags) config(c *cobra.Command, o *options, model string) (train.Config, error) {
	cfg := sites.Default()
	switch {
	case f.edits == "":
		return cfg, wrongUse("--data is missing: name a file of edits")
	case f.candidates < 1 || f.blocks < 1 || f.steps < 1 || f.facts < 1:
		return cfg, wrongUse("--candidates, --blocks, --steps and --facts: %d, %d, %d and %d must be at least 1", f.candidates, f.blocks, f.steps, f.facts)
	case f.defaults != "" && filepath.Ext(f.defaults) != ".yaml":
		return cfg, wrongUse("--write-defaults %s: the name of a file of settings ends in .yaml", f.defaults)
	}
	set := append([]string{"model.path=" + model, "data.train=" + f.edits, "data.split=" + f.split, fmt.Sprintf("train.steps=%d", f.steps)}, f.set...)
	if _, err := configs.Read("sites", nil, &cfg, configs.Options{Set: set}); err != nil {
		return cfg, err
	}
	if err := findConfig(c, &cfg); err != nil {
		return cfg, err
	}
	cfg.Threads = o.threadsFor(cfg.Threads)
	f.chosen = sites.Options{Candidates: f.candidates, Blocks: f.blocks, Facts: f.facts}
	if f.defaults == "" {
		var err error
		if f.defaults, err = defaultsOf(cfg); err != nil {
			return cfg, err
		}
	}
	if err := isFree(f.defaults); err != nil {
		return cfg, err
	}
	return cfg, atomicfile.Writable(f.defaults)
}

// defaultsOf is the file for the settings of a config's model.
func defaultsOf(cfg train.Config) (string, error) {
	folder := family.UserFolder()
	if folder == "" {
		return "", wrongUse("--write-defaults is missing, and this system has no folder for settings: name a file")
	}
	m, err := workbench.LoadModel(cmp.Or(cfg.Model.Path, workbench.Embedded), lm.LoadOptions{Pre: cfg.Model.Pre})
	if err != nil {
		return "", err
	}
	defer m.Close()
	x := m.Config
	return filepath.Join(folder, fmt.Sprintf("%s-%dx%d.yaml", x.ModelType, x.Layers, x.Width)), nil
}

// placing shows the trials one after the other.
type placing struct {
	*progress.Screen
	c    *console.Console
	task *console.Task
}

// Traced implements sites.Observer.
func (p *placing) Traced(known, facts int) {
	if p.task == nil {
		p.task = p.c.Begin("trace", 0, facts)
	}
	if p.task.Set(known); known == facts {
		p.task.End()
	}
}

// Trying implements sites.Observer.
func (p *placing) Trying(c sites.Candidate, i, n int) { p.Comparing(strings.Join(c.Sites, " "), i, n) }

// places are what is known of where a new run's model is best edited, as overrides of
// its config.
func places(c *cobra.Command, cfg train.Config, r *configs.Resolved) ([]string, error) {
	if err := findConfig(c, &cfg); err != nil {
		return nil, err
	}
	set, from, err := workbench.Places(cfg, r)
	if len(set) > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%s (%s)\n", strings.Join(set, " "), from)
	}
	return set, err
}

func printSites(w io.Writer, f *sites.Found) error {
	t := &report.Table{Columns: []report.Column{{Name: "sites"}, {Name: "rows"}, {Name: "loss", Right: true}, {Name: "right", Right: true}, {Name: "stays", Right: true}, {Name: "seconds", Right: true}, {Name: "why"}}}
	for i, x := range f.Trials {
		name := strings.Join(x.Sites, " ")
		if i == f.Best {
			name += " *"
		}
		t.Row(name, x.Rows, fmt.Sprintf("%.3f", x.Loss), fmt.Sprintf("%.3f", x.Right), fmt.Sprintf("%.3f", x.Stability), fmt.Sprintf("%.0f", x.Seconds), x.Why)
	}
	p := report.To(w)
	p.Say("%d facts traced: block %d carries them at the subject\n", f.Facts, f.Block)
	p.Table(t)
	p.Say("\n* is the best, after %d steps; written: %s", f.Steps, f.File)
	if filepath.Dir(f.File) != family.UserFolder() {
		p.Say("to use it for this model from now on, put it into %s", family.UserFolder())
	}
	return p.Err()
}
