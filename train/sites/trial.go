package sites

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/train"
)

// Trial is what a short training at a place came to, on its validation edits.
type Trial struct {
	Candidate
	Loss      float64 `json:"loss"`
	Edit      float64 `json:"edit"`
	Loc       float64 `json:"loc"`
	Right     float64 `json:"edit_acc"`
	Stability float64 `json:"stability"`
	Seconds   float64 `json:"seconds"`
}

// Default is the configuration of the trials: the learned editor in small.
func Default() train.Config {
	c := train.Default()
	c.Data.Locality, c.Data.OwnPrompt, c.Data.Localities = "answer", true, 2
	h := &c.Hypernet
	h.Rank, h.LastLin, h.EditLR = 256, true, 0.1
	u := &h.Update
	u.Rule, u.Prior, u.Ridge, u.Shrink, u.Tokens = hypernet.Solve, hypernet.Moment, 1e-3, 5e-4, 20000
	c.Objective.CEdit = 1
	t := &c.Train
	t.Steps, t.LR, t.LRLR, t.Schedule, t.ValEdits, t.Patience, t.SaveEvery, t.Keep = 60, 3e-4, 1e-3, "cosine", 50, 0, 0, 1
	c.Memory.Cache = 256
	return c
}

// Try trains as cfg says, but at c, and scores the validation edits at the end.
func Try(ctx context.Context, cfg train.Config, c Candidate, src train.Sources, o train.Observer) (Trial, error) {
	t := Trial{Candidate: c}
	dir, err := os.MkdirTemp("", "keyhole-sites-*")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(dir)
	cfg.Model.Sites, cfg.Hypernet.Update.Rows = c.Sites, c.Rows
	cfg.Train.ValEvery, cfg.Train.Warmup = cfg.Train.Steps, cfg.Train.Steps/10
	r, err := configs.Load("", &cfg, configs.Options{})
	if err != nil {
		return t, err
	}
	start := time.Now()
	l, err := train.Start(cfg, r, filepath.Join(dir, "run"), false, src, o)
	if err != nil {
		return t, err
	}
	defer l.Close()
	if err := l.Run(ctx); err != nil {
		return t, err
	}
	m := l.Summary().Metrics
	t.Loss, t.Edit, t.Loc, t.Right, t.Stability = m["val_loss"], m["val_edit"], m["val_loc"], m["val_edit_acc"], m["val_stability"]
	t.Seconds = time.Since(start).Seconds()
	return t, nil
}

// Best is the place in trials with the lowest validation loss.
func Best(trials []Trial) int {
	best := 0
	for i := range trials {
		if trials[i].Loss < trials[best].Loss {
			best = i
		}
	}
	return best
}
