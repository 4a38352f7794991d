package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/internal/resident"
	"keyhole.example/keyhole/presets"
	"keyhole.example/keyhole/progress"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

func trainCommand(o *options) *cobra.Command {
	var set []string
	var out, model, edits, start string
	var chat bool
	var steps int
	var plan bool
	var limit time.Duration
	c := &cobra.Command{
		Use:   "train CONFIG",
		Short: "Meta-train an editor",
		Long: `Meta-train an editor as CONFIG (a YAML file, or the name of a preset) says.

--plan tries two steps and says what the run will cost: memory by its parts, time,
and disk; nothing stays of it. --time chooses as many steps as fit. A run that
would not fit into the machine's memory is refused, with the smallest change that
does.

--init starts from the editor of another run, with another rate or other data; the
editor itself has to be of the same kind. train.init_optimizer=keep brings the
optimiser's moments too. The checkpoints say where the run started from.

The run folder holds config.yaml, log.jsonl, tb/, checkpoints/ and summary.json.
Ctrl-C finishes the step, saves, and prints the command that goes on.`,
		Example: `  keyhole train quickstart --out runs/first
  keyhole train smollm2-zsre --steps 200
  keyhole train smollm2-zsre --model Qwen/Qwen2.5-0.5B --data my-edits.jsonl
  keyhole train my.yaml --set train.lr=1e-5 --set hypernet.rank=256 --steps 500
  keyhole train smollm2-zsre --plan --json
  keyhole train smollm2-zsre --time 30m
  keyhole train my.yaml --init runs/zsre --set train.lr=1e-6`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if limit < 0 || (limit > 0 && steps > 0) {
				return wrongUse("--time chooses the steps: give it a positive time, and leave out --steps")
			}
			over, err := stepsKey(c, steps)
			if err != nil {
				return err
			}
			if chat {
				over = append(over, "data.template=chat")
			}
			for _, x := range []struct{ key, value string }{{"model.path", model}, {"data.train", edits}, {"train.init", start}} {
				if x.value != "" {
					over = append(over, x.key+"="+x.value)
				}
			}
			var cfg train.Config
			var r *configs.Resolved
			read := func(more []string) (err error) {
				cfg, over = train.Default(), append(over, more...)
				r, err = presets.Read(args[0], &cfg, slices.Concat(set, over))
				return err
			}
			if err := read(nil); err != nil {
				return err
			}
			known, err := places(c, cfg, r)
			if err == nil && len(known) > 0 {
				err = read(known)
			}
			if err != nil {
				return err
			}
			if plan || limit > 0 {
				p, err := makePlan(c, o, cfg, r)
				if err != nil {
					return err
				}
				if limit > 0 {
					if err := read(p.Within(limit, cfg, r)); err != nil {
						return err
					}
					p.Reach(cfg)
				}
				if plan {
					return o.show(c, p, saying("%s\n%s\n", p.MemoryLine(), p.TimeLine()))
				}
				fmt.Fprintln(c.ErrOrStderr(), p.TimeLine())
			}
			if out == "" {
				name := strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0]))
				out = filepath.Join("runs", name)
			}
			return runLoop(c, o, cfg, r, out, false)
		},
	}
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the config: `key=value`")
	c.Flags().StringVar(&out, "out", "", "run `folder` (default runs/NAME)")
	c.Flags().StringVar(&model, "model", "", "base `model`, instead of model.path: a folder, a GGUF file, or a name (keyhole pull --help)")
	c.Flags().StringVar(&edits, "data", "", "`file` of edits, or a data set's name, instead of data.train")
	c.Flags().StringVar(&start, "init", "", "`run` or checkpoint folder whose editor the run starts from (train.init)")
	addChat(c, &chat)
	c.Flags().IntVar(&steps, "steps", 0, "optimiser steps, instead of train.steps")
	c.Flags().BoolVar(&plan, "plan", false, "say what the run will cost, after two steps, and stop")
	c.Flags().DurationVar(&limit, "time", 0, "choose as many steps as fit into this `time` (30m, 2h)")
	return c
}

func resumeCommand(o *options) *cobra.Command {
	var steps int
	var model string
	c := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a training run",
		Long: `Go on with the run in folder RUN from its last checkpoint. The result is the
same, to the byte, as that of a run that was never interrupted. The base model of
a run that was moved is looked for beside it, or is where --model says.`,
		Example: `  keyhole resume runs/first
  keyhole resume runs/first --steps 2000
  keyhole resume runs/first --model /models/gpt2`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg := train.Default()
			set, err := stepsKey(c, steps)
			if err != nil {
				return err
			}
			if model != "" {
				set = append(set, "model.path="+model)
			}
			path := filepath.Join(args[0], "config.yaml")
			if !regular.IsFile(path) {
				return train.NoRun(args[0])
			}
			r, err := configs.Load(path, &cfg, configs.Options{Set: set, Saved: true})
			if err != nil {
				return err
			}
			return runLoop(c, o, cfg, r, args[0], true)
		},
	}
	c.Flags().IntVar(&steps, "steps", 0, "optimiser steps in all, instead of the run's own number")
	c.Flags().StringVar(&model, "model", "", "where the run's base `model` is now")
	return c
}

// stepsKey is --steps as an override of the config; nil if it was not given.
func stepsKey(c *cobra.Command, steps int) ([]string, error) {
	switch {
	case !c.Flags().Changed("steps"):
		return nil, nil
	case steps < 1:
		return nil, wrongUse("--steps %d is below 1", steps)
	}
	return []string{fmt.Sprintf("train.steps=%d", steps)}, nil
}

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

// runLoop trains, showing progress, and prints what came of it.
func runLoop(c *cobra.Command, o *options, cfg train.Config, r *configs.Resolved, dir string, resume bool) error {
	gone := train.Gone(dir)
	if resume {
		cfg.Model.Path = train.Moved(cfg.Model.Path, dir)
	}
	if err := findConfig(c, &cfg); err != nil {
		return err
	}
	cfg.Threads = o.threadsFor(cfg.Threads)
	p := progress.On(c.ErrOrStderr())
	clock := &train.Timer{Observer: p, To: c.ErrOrStderr()}
	src := workbench.Sources()
	src.Team = o.team()
	l, err := train.Start(cfg, r, dir, resume, src, clock)
	if err != nil {
		return err
	}
	defer l.Close()
	printNotes(c.ErrOrStderr(), l.Editor.Model)
	for _, note := range l.Notes() {
		fmt.Fprintln(c.ErrOrStderr(), note)
	}
	if gone != "" {
		fmt.Fprintf(c.ErrOrStderr(), "%s, saved last, was deleted; going on from step %d\n", gone, l.Step())
	}
	need := l.Estimate().Total()
	if cfg.Train.ValEvery > 0 && !l.Validates() {
		fmt.Fprintf(c.ErrOrStderr(), "%s holds too few edits to set some aside: there is no validation, and the last checkpoint counts; --set data.val=FILE names edits to validate on\n", cfg.Data.Train)
	}
	if !l.Done() {
		if resume {
			fmt.Fprintf(c.ErrOrStderr(), "%s goes on behind step %d of %d\n", dir, l.Step(), cfg.Train.Steps)
		}
		clock.Plan = l.Outline()
		fmt.Fprintln(c.ErrOrStderr(), clock.Plan.MemoryLine())
	} else {
		fmt.Fprintf(c.ErrOrStderr(), "%s %s, so there is nothing to do\n", dir, l.Summary().WhyDone())
	}
	began, first := time.Now(), l.Step()
	err = workbench.Run(c.Context(), l)
	p.Finish()
	o.sayTraffic(c.ErrOrStderr(), time.Since(began), l.Step()-first)
	if isInterrupt(err) || errors.Is(err, mpi.ErrStopped) {
		fmt.Fprintf(c.ErrOrStderr(), "saved step %d; go on with: keyhole resume %s\n", l.Step(), shell(dir))
		return err
	}
	if err != nil {
		return err
	}
	return o.show(c, struct {
		train.Summary
		EstimatedBytes int64 `json:"estimated_bytes"`
		PeakBytes      int64 `json:"peak_bytes,omitempty"` // missing where the system does not tell
	}{l.Summary(), need, resident.PeakBytes()}, func(io.Writer) error { return printSummary(hinted(c), l.Summary(), dir) })
}

func printSummary(w io.Writer, s train.Summary, dir string) error {
	best := ""
	if s.BestStep > 0 {
		best = fmt.Sprintf(", best at step %d (loss %.4f)", s.BestStep, s.BestLoss)
	}
	memory := ""
	if peak := resident.PeakBytes(); peak > 0 {
		memory = ", peak memory " + report.Bytes(peak)
	}
	_, err := fmt.Fprintf(w, "%s: %d steps, %d edits%s%s\nnext: keyhole eval %s --data embedded --limit 100, or another file of edits\n", dir, s.Step, s.Edits, best, memory, shell(dir))
	return err
}
