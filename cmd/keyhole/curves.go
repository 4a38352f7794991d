package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/train"
)

func curvesCommand(o *options) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "curves RUN",
		Short: "Draw a run's learning curves",
		Long: `Draw what the run in folder RUN has logged: the share of validation edits whose
rephrasing is answered right in every token (edit_acc), the share of unrelated
predictions that stay (stability), and the training loss, averaged over the
last twenty steps, all against the edits seen.`,
		Example: `  keyhole curves runs/first --out curves.png
  keyhole curves runs/first --out curves.svg`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			log, err := train.ReadLog(args[0])
			if err != nil {
				return err
			}
			f, err := curves(args[0], log)
			if err != nil {
				return err
			}
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
				return printJSON(c.OutOrStdout(), map[string]any{"file": out, "entries": len(log)})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "wrote %s\n", out)
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "curves.png", "`file` to write, .png or .svg")
	return c
}

// curves plots a log.
func curves(name string, log []train.Metrics) (*report.Figure, error) {
	loss := report.Series{Name: "training loss"}
	right, stay := report.Series{Name: "edit_acc"}, report.Series{Name: "stability"}
	var recent []float64
	edits := 0.0
	for _, m := range log {
		if m.Kind == "train" {
			edits = float64(m.Examples)
			recent = append(recent, m.Total)
			recent = recent[max(0, len(recent)-20):]
			sum := 0.0
			for _, v := range recent {
				sum += v
			}
			loss.X, loss.Y = append(loss.X, edits), append(loss.Y, min(1, sum/float64(len(recent))))
			continue
		}
		right.X, right.Y = append(right.X, edits), append(right.Y, m.Right)
		stay.X, stay.Y = append(stay.X, edits), append(stay.Y, m.Stability)
	}
	series := []report.Series{loss}
	if len(right.X) > 0 {
		series = append(series, right, stay)
	}
	return report.Lines(name, report.Axis{Name: "edits"}, report.Axis{Name: "share, or loss (cut at 1)", Hi: 1}, series)
}
