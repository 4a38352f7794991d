package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/compare"
	"keyhole.example/keyhole/internal/atomicfile"
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
			draw := f.WritePNG
			switch ext := strings.ToLower(filepath.Ext(out)); ext {
			case ".png":
			case ".svg":
				draw = f.WriteSVG
			default:
				return &usageError{fmt.Errorf("--out %s: want a name that ends in .png or .svg", out)}
			}
			if err := atomicfile.Writable(out); err != nil {
				return err
			}
			forget, err := atomicfile.MakeParent(out)
			if err != nil {
				return err
			}
			if err := atomicfile.Write(out, func(w io.Writer) error { return draw(w) }); err != nil {
				forget()
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), map[string]any{"file": out, "entries": entries})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "wrote %s\n", out)
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "curves.png", "`file` to write, .png or .svg")
	return c
}
