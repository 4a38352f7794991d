package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/presets"
	"keyhole.example/keyhole/pretrain"
	"keyhole.example/keyhole/progress"
)

func pretrainCommand(o *options) *cobra.Command {
	var out string
	var set []string
	c := &cobra.Command{
		Use:   "pretrain CONFIG",
		Short: "Make a small language model that knows facts, and edits of them",
		Long: `Follow the recipe CONFIG (a YAML file, or the name of a preset): train a small
GPT-2 on facts stated in several ways, and write it with edits of the facts that
it came to know: training, validation and held-out edits, disjoint by subject.
The embedded model and edits were made so.`,
		Example: `  keyhole pretrain pretrain-facts --out models/facts
  keyhole pretrain my-facts.yaml --set train.epochs=5 --out models/quick`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return wrongUse("--out is missing: name the folder for the model and the edits")
			}
			cfg := pretrain.Default()
			if _, err := presets.Read(args[0], &cfg, set); err != nil {
				return err
			}
			if err := findData(c, &cfg.Facts.Path); err != nil {
				return err
			}
			p := progress.On(c.ErrOrStderr())
			m, err := pretrain.Run(c.Context(), cfg, out, p.Pretraining)
			p.Finish()
			if stop := stopped(c); stop != nil {
				return stop
			}
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), m)
			}
			_, err = fmt.Fprintf(hinted(c), "%s: %d parameters, %d facts in %d sentences, %.1f %% of them known; %d edits to train on, %d to validate, %d held out\nnext: keyhole train quickstart --set model.path=%s --set data.train=%s --set data.val=%s\n",
				out, m.Parameters, m.Facts, m.Sentences, 100*m.Known, m.Train, m.Val, m.Test,
				shell(filepath.Join(out, pretrain.ModelDir)), shell(filepath.Join(out, pretrain.TrainFile)), shell(filepath.Join(out, pretrain.ValFile)))
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "", "write to this new `folder`")
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the recipe: `key=value`")
	return c
}
