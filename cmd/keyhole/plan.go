package main

import (
	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// makePlan finds what the config names, and tries two steps.
func makePlan(c *cobra.Command, o *options, cfg train.Config, r *configs.Resolved) (*train.Plan, error) {
	if err := findConfig(c, &cfg); err != nil {
		return nil, err
	}
	cfg.Threads = o.threadsFor(cfg.Threads)
	src := workbench.Sources()
	src.Team = o.team()
	p, err := train.MakePlan(c.Context(), cfg, r, src)
	if err != nil {
		return nil, err
	}
	return p, mpi.Share(src.Team, p)
}
