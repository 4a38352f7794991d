package main

import (
	"github.com/spf13/cobra"

	"keyhole.example/keyhole/inspect"
	"keyhole.example/keyhole/lm"
)

func inspectCommand(o *options) *cobra.Command {
	var model string
	var opts lm.LoadOptions
	c := &cobra.Command{
		Use:   "inspect MODEL|RUN|CHECKPOINT",
		Short: "Say what a model, a run or a checkpoint is",
		Long: `Of a model: architecture, parameters, tokenizer, the edits that it was saved
with, and the layers that can be edited. Of a run or a checkpoint: every file verified, its metrics, and its
networks with their parameters and step sizes. Where a run's best checkpoint is
damaged, its newest whole one is shown.`,
		Example: `  keyhole inspect embedded
  keyhole inspect models/smollm2.gguf --json
  keyhole inspect runs/first
  keyhole inspect runs/first/checkpoints/step-000100`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if inspect.IsRun(args[0]) {
				model, err := findBase(c, args[0], model)
				if err != nil {
					return err
				}
				r, err := inspect.OfRun(args[0], model)
				if err != nil {
					return err
				}
				return o.show(c, r, r.Print)
			}
			if model != "" {
				return wrongUse("--model is for runs and checkpoints, and %s is none; leave it out", args[0])
			}
			path, err := findModel(c, args[0])
			if err != nil {
				return err
			}
			m, err := inspect.OfModel(path, opts)
			if err != nil {
				return err
			}
			return o.show(c, m, m.Print)
		},
	}
	c.Flags().StringVar(&opts.Pre, "pre", "", "of a GGUF file: pre-tokenizer in place of the one that it names")
	c.Flags().StringVar(&model, "model", "", "of a run: where its base model is now")
	return c
}
