package main

import (
	"io"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/doctor"
	"keyhole.example/keyhole/internal/console"
)

func doctorCommand(o *options) *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Measure this machine and say what would make it faster",
		Long: `Say in ten lines what computes matrix products here, how fast it is, how fast
memory is, and what would make this machine faster; -v says all that was measured.
Takes a few seconds; what else runs on the machine counts.`,
		Example: "  keyhole doctor\n  keyhole doctor -v\n  keyhole doctor --json",
		Args:    nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := doctor.Diagnose()
			if err != nil {
				return err
			}
			console.Of(c.OutOrStdout()).Fold()
			return o.show(c, d, func(w io.Writer) error { return d.Print(w, verbose) })
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "say all that was measured")
	return c
}
