package train

import (
	"context"
	"os"
	"time"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/internal/resident"
	"keyhole.example/keyhole/meta"
)

// Plan is what a run will cost.
type Plan struct {
	Memory      Estimate
	Machine     int64 // bytes of memory that the machine has; 0: unknown
	Steps       int
	Step        time.Duration // of one optimiser step
	Validations int
	Validation  time.Duration
	Disk        int64 // bytes of the checkpoints that are kept
}

// Total is how long the run will take.
func (p Plan) Total() time.Duration {
	return time.Duration(p.Steps)*p.Step + time.Duration(p.Validations)*p.Validation
}

// trialSteps is how many steps are tried. The first decodes weights and lays out
// the graph, so the last is what counts.
const trialSteps = 2

// trialEdits is how many validation edits are tried at most.
const trialEdits = 10

// MakePlan tries two steps of a run, and a part of a validation, and says what
// the whole will cost. Nothing of it stays.
func MakePlan(ctx context.Context, cfg Config, r *configs.Resolved, src Sources) (*Plan, error) {
	dir, err := os.MkdirTemp("", "keyhole-plan-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	l, err := Start(cfg, r, dir, false, src, nobody{})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	p := l.Outline()
	for range min(trialSteps, p.Steps) {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		tasks, edits, err := l.draw()
		if err != nil {
			return nil, err
		}
		start := time.Now()
		if _, _, err := l.stepOn(tasks, edits); err != nil {
			return nil, err
		}
		p.Step = l.usual(time.Since(start), tasks, edits)
	}
	if n := min(trialEdits, len(l.valTasks)); n > 0 && p.Validations > 0 {
		start := time.Now()
		if _, err := l.Learner().Score(l.valTasks[:n]); err != nil {
			return nil, err
		}
		p.Validation = time.Since(start) * time.Duration(len(l.valTasks)) / time.Duration(n)
	}
	return &p, nil
}

// usual is the time of a step whose texts are as long as those of the training
// edits are in the mean, from that of a step on tasks of so many edits: nearly all of
// it is spent on tokens, and a few texts vary.
func (l *Loop) usual(took time.Duration, tasks []meta.Task, edits int) time.Duration {
	tokens := 0
	for _, t := range tasks {
		e, r := tokensOf(t)
		tokens += e + r
	}
	e, _, r := l.tokensOfEdit()
	if mean := (e + r) * float64(len(tasks)*edits); mean > 0 && tokens > 0 {
		return time.Duration(float64(took) * mean / float64(tokens))
	}
	return took
}

// Outline is the part of a plan that needs no trial.
func (l *Loop) Outline() Plan {
	p := Plan{Memory: l.Estimate(), Machine: resident.Machine(), Steps: l.Config.Train.Steps}
	c := l.Config.Train
	if c.ValEvery > 0 && l.val != nil {
		p.Validations = (c.Steps + c.ValEvery - 1) / c.ValEvery
	}
	kept := 1
	if c.SaveEvery > 0 {
		kept = (c.Steps + c.SaveEvery - 1) / c.SaveEvery
		if c.Keep > 0 {
			kept = min(kept, c.Keep)
		}
	}
	if p.Validations > 0 {
		kept++ // the best
	}
	const tensors = 3 // parameters and Adam's two moments, 4 bytes each
	p.Disk = int64(kept) * 4 * tensors * int64(len(l.Learner().Values()))
	return p
}

// Reach makes the plan that of the same run with another number of steps.
func (p *Plan) Reach(cfg Config) {
	if p.Validations > 0 && cfg.Train.ValEvery > 0 {
		p.Validations = (cfg.Train.Steps + cfg.Train.ValEvery - 1) / cfg.Train.ValEvery
	}
	p.Steps = cfg.Train.Steps
}

// StepsWithin is how many steps fit into a time, at least one.
func (p Plan) StepsWithin(d time.Duration, valEvery int) int {
	each := p.Step
	if p.Validations > 0 && valEvery > 0 {
		each += p.Validation / time.Duration(valEvery)
	}
	return max(1, int(d/max(each, 1)))
}

// nobody is told of a trial.
type nobody struct{}

func (nobody) Started(int, int)        {}
func (nobody) Stepped(Metrics, int)    {}
func (nobody) Validated(Metrics, bool) {}
func (nobody) Saved(string)            {}
func (nobody) Skipped(string, error)   {}
