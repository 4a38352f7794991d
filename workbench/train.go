package workbench

import (
	"context"
	"path/filepath"
	"runtime/debug"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/train"
)

// Trainee is told of a training run that other work needs.
type Trainee interface {
	train.Observer
	// Found tells that the folder holds a run of so many steps, and whether it
	// is finished.
	Found(dir string, step int, done bool)
	// Ended tells that the run stands at a step, finished or interrupted.
	Ended(dir string, step int)
}

// Ensure trains with a config in a folder, or goes on there, or finds that the
// folder holds what is wanted already. The processes of a team call it together.
func Ensure(ctx context.Context, team mpi.Team, cfg train.Config, r *configs.Resolved, dir string, w Trainee) error {
	resume, err := mpi.Any(team, mpi.Leads(team) && regular.IsDir(filepath.Join(dir, "checkpoints")))
	if err != nil {
		return err
	}
	src := Sources()
	src.Team = team
	l, err := train.Start(cfg, r, dir, resume, src, w)
	if err != nil {
		return err
	}
	defer l.Close()
	if resume {
		s := l.Summary()
		done := s.Stopped || s.Step >= cfg.Train.Steps
		if w.Found(dir, s.Step, done); done {
			return nil
		}
	}
	err = Run(ctx, l)
	w.Ended(dir, l.Step())
	return err
}

// Run runs a training loop with the garbage collector set for training.
func Run(ctx context.Context, l *train.Loop) error {
	defer debug.SetGCPercent(debug.SetGCPercent(train.GCPercent))
	return l.Run(ctx)
}
