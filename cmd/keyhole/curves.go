package main

import (
	"github.com/spf13/cobra"

	"keyhole.example/keyhole/compare"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/train"
)

func curvesCommand(o *options) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "curves RUN...",
		Short: "Draw the learning curves of runs",
		Long: `Draw what the runs in the folders RUN have logged, one beside the other: the
training loss, averaged over the last twenty steps; the share of validation edits
whose rephrasing is answered right in every token (edit_acc); and the share of
unrelated predictions that stay (stability); all against the edits seen.`,
		Example: `  keyhole curves runs/quickstart --out curves.png
  keyhole curves runs/first runs/second --out curves.svg`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			runs, entries, err := train.ReadCurves(args)
			if err != nil {
				return err
			}
			var names []string
			for _, r := range runs {
				names = append(names, r.Name)
			}
			f := train.Plot("Learning curves", runs, compare.Palette(names...))
			if err := report.CheckFigureFile(out); err != nil {
				return wrongUse("--out %v", err)
			}
			if err := f.WriteFile(out); err != nil {
				return err
			}
			return o.show(c, map[string]any{"file": out, "entries": entries}, saying("wrote %s\n", out))
		},
	}
	c.Flags().StringVar(&out, "out", "curves.png", "`file` to write, .png or .svg")
	return c
}
