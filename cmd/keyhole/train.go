package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"keyhole/configs"
	"keyhole/train"
)

func trainCommand(o *options) *cobra.Command {
	var set []string
	var out string
	var steps int
	c := &cobra.Command{
		Use:   "train CONFIG",
		Short: "Meta-train an editor",
		Long: `Meta-train an editor as CONFIG (a YAML file, or the name of a preset) says.

The run folder holds config.yaml, log.jsonl, tb/, checkpoints/ and summary.json.
Ctrl-C finishes the step, saves, and prints the command that goes on.`,
		Example: `  keyhole train quickstart --out runs/first
  keyhole train configs/smollm2-zsre.yaml --set model.path=../shared/models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf
  keyhole train my.yaml --set train.lr=1e-5 --set hypernet.rank=256 --steps 500`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg := train.Default()
			if steps > 0 {
				set = append(set, fmt.Sprintf("train.steps=%d", steps))
			}
			r, err := readConfig(args[0], &cfg, set)
			if err != nil {
				return err
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
	c.Flags().IntVar(&steps, "steps", 0, "optimiser steps, instead of train.steps")
	return c
}

func resumeCommand(o *options) *cobra.Command {
	var steps int
	c := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a training run",
		Long: `Go on with the run in folder RUN from its last checkpoint. The result is the
same, to the byte, as that of a run that was never interrupted.`,
		Example: `  keyhole resume runs/first
  keyhole resume runs/first --steps 2000`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg := train.Default()
			var set []string
			if steps > 0 {
				set = append(set, fmt.Sprintf("train.steps=%d", steps))
			}
			path := filepath.Join(args[0], "config.yaml")
			r, err := configs.Load(path, &cfg, configs.Options{Set: set})
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%s is no run folder: it has no config.yaml; start one with keyhole train CONFIG --out %s", args[0], args[0])
			}
			if err != nil {
				return err
			}
			return runLoop(c, o, cfg, r, args[0], true)
		},
	}
	c.Flags().IntVar(&steps, "steps", 0, "optimiser steps in all, instead of the run's own number")
	return c
}

// runLoop trains, showing progress, and prints what came of it.
func runLoop(c *cobra.Command, o *options, cfg train.Config, r *configs.Resolved, dir string, resume bool) error {
	p := newProgress(c.ErrOrStderr())
	l, err := train.Start(cfg, r, dir, resume, sources(), p)
	if err != nil {
		return err
	}
	defer l.Close()
	err = runToEnd(c.Context(), l)
	p.finish()
	var stop *interrupted
	if errors.As(err, &stop) {
		fmt.Fprintf(c.ErrOrStderr(), "saved step %d; go on with: keyhole resume %s\n", l.Step(), dir)
		return err
	}
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(c.OutOrStdout(), l.Summary())
	}
	return printSummary(c.OutOrStdout(), l.Summary(), dir)
}

// runToEnd runs the loop with the garbage collector set for training.
func runToEnd(ctx context.Context, l *train.Loop) error {
	defer debug.SetGCPercent(debug.SetGCPercent(train.GCPercent))
	return l.Run(ctx)
}

func printSummary(w io.Writer, s train.Summary, dir string) error {
	_, err := fmt.Fprintf(w, "%s: %d steps, %d edits, best at step %d (loss %.4f)\nnext: keyhole eval %s --data FILE\n", dir, s.Step, s.Edits, s.BestStep, s.BestLoss, dir)
	return err
}
