package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/train/optim"
)

// Metrics of a step or a validation: means over examples.
type Metrics struct {
	Step      int     `json:"step"`
	Kind      string  `json:"kind"` // train or val
	Total     float64 `json:"loss"`
	Edit      float64 `json:"edit"`
	Loc       float64 `json:"loc"`
	Margin    float64 `json:"margin,omitempty"`
	Inner     float64 `json:"inner"`
	Right     float64 `json:"edit_acc"`
	Prob      float64 `json:"edit_prob"`
	Stability float64 `json:"stability"`
	GradNorm  float64 `json:"grad_norm,omitempty"`
	Rate      float64 `json:"mean_step_size"`
	Examples  int     `json:"examples"`
	Seconds   float64 `json:"seconds"`
}

// Observer is told what happens; it shows progress.
type Observer interface {
	Started(done, steps int)
	Stepped(m Metrics, edits int)
	Validated(m Metrics, best bool)
	Saved(dir string)
	Skipped(id string, err error)
}

// Loop is one training run.
type Loop struct {
	*Editor
	resolved *configs.Resolved
	dir      string
	observer Observer
	team     mpi.Team
	lock     *lock.Lock
	store    *checkpoints.Store
	log      *logs

	train, val  *data.Set
	sampler     *data.Sampler
	turns       *turns // of the present sequence; nil: every example is made on the base model
	maker       *meta.Maker
	valTasks    []meta.Task
	state       state
	optim       optim.State
	grads       []float32 // like Net.Flat
	divisor     int       // of the present step's summed gradient
	savedAt     int
	notes       []string
	lastMetrics map[string]float64
}

// Notes are faults of the run's files that did not stop it, each a sentence.
func (l *Loop) Notes() []string { return slices.Concat(l.Editor.Notes, l.notes) }

// Step is how many optimiser steps are done.
func (l *Loop) Step() int { return l.state.Step }

// Run trains until Steps are done, the early stop strikes or ctx ends; in all
// cases it saves a checkpoint of the last whole step. It returns ctx's cause
// when that ended it, and mpi.ErrStopped when that of another process did.
func (l *Loop) Run(ctx context.Context) error {
	c := l.Config.Train
	if !l.Done() {
		l.observer.Started(l.state.Step, c.Steps)
	}
	start := time.Now()
	stop := false
	for !l.Done() {
		var err error
		if stop, err = mpi.Any(l.team, ctx.Err() != nil); stop || err != nil {
			if err != nil {
				return err
			}
			break
		}
		m, edits, err := l.step()
		if err != nil {
			return err
		}
		m.Seconds = time.Since(start).Seconds()
		start = time.Now()
		if err := l.log.write(m); err != nil {
			return err
		}
		l.observer.Stepped(m, edits)
		if c.ValEvery > 0 && l.val != nil && (l.state.Step%c.ValEvery == 0 || l.state.Step == c.Steps) {
			if err := l.validate(); err != nil {
				return err
			}
		}
		if c.SaveEvery > 0 && l.state.Step%c.SaveEvery == 0 || l.state.BestStep == l.state.Step {
			if err := l.save(); err != nil {
				return err
			}
		}
	}
	if err := mpi.Agree(l.team, l.saveLast()); err != nil { // others may read what process 0 writes
		return err
	}
	if err := context.Cause(ctx); err != nil || !stop {
		return err
	}
	return mpi.ErrStopped
}

// saveLast saves the present step, unless it is saved, and what the run has come to.
func (l *Loop) saveLast() error {
	if l.savedAt != l.state.Step || l.state.Step == 0 {
		if err := l.save(); err != nil {
			return err
		}
	}
	return l.summarise()
}

// window is the number of examples of the next optimiser step. The reference's
// first window holds one more.
func (l *Loop) window() int {
	n := l.Config.Train.Accumulate
	if l.Config.Compat == "reference" && l.state.Step == 0 && l.turns == nil {
		n++
	}
	return n
}

// shape is how many examples the next optimiser step has, and how many edits
// each of them.
func (l *Loop) shape() (examples, edits int) {
	c := l.Config.Train
	if len(c.Mix) == 0 {
		return l.window(), c.Edits
	}
	edits = c.Mix[data.Choose(l.Config.Seed, "mix", l.state.Step, len(c.Mix))]
	return max(1, l.window()/edits), edits
}

// next makes the next task, of n edits. They are about different subjects, as
// far as the data have so many: two new answers to one question cannot both be
// made true.
func (l *Loop) next(n int) (meta.Task, error) {
	records := make([]data.Edit, 0, n)
	visit := 0
	subjects := map[string]bool{}
	for tries := 0; len(records) < n; tries++ {
		at := l.sampler.State()
		visit = at.Epoch
		i := l.sampler.Next()
		if l.Config.Data.Order == "file" {
			i = at.Pos % len(l.train.Edits)
		}
		r := l.train.Edits[i]
		if subjects[r.Subject] && tries < 10*n {
			continue
		}
		subjects[r.Subject] = r.Subject != ""
		records = append(records, r)
	}
	l.state.Examples++
	if len(l.Config.Train.Mix) > 0 {
		l.state.Edits += n
	}
	return l.maker.Task(records, visit)
}

// step is one optimiser step: the examples' gradients, their mean, clipping,
// Adam.
func (l *Loop) step() (Metrics, int, error) {
	tasks, edits, err := l.draw()
	if err != nil {
		return Metrics{}, 0, err
	}
	return l.stepOn(tasks, edits)
}

// draw makes the examples of the next optimiser step, each of so many edits.
func (l *Loop) draw() (tasks []meta.Task, edits int, err error) {
	examples, edits := l.shape()
	l.divisor = l.Config.Train.Accumulate
	if len(l.Config.Train.Mix) > 0 {
		l.divisor = examples
	}
	if l.turns != nil {
		l.divisor = 1 // gradients of turns add up
		l.turns.begin(l)
	}
	tasks = make([]meta.Task, examples)
	for i := range tasks {
		if tasks[i], err = l.next(edits); err != nil {
			return nil, 0, err
		}
	}
	return tasks, edits, nil
}

// stepOn is step on examples that were drawn.
func (l *Loop) stepOn(tasks []meta.Task, edits int) (Metrics, int, error) {
	if l.Config.Data.Hard > 0 {
		var err error
		if tasks, err = l.Objective.Hardest(tasks, l.Config.Data.Localities); err != nil {
			return Metrics{}, 0, err
		}
	}
	back := l.Learner().Mark()
	out, err := l.gradients(tasks)
	if err != nil {
		return Metrics{}, 0, err
	}
	norm := l.outer().Norm(l.Engine, l.grads)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		back()
		if l.turns != nil {
			l.turns.end(l) // the examples are tried on the base model
		}
		if out, err = l.oneByOne(tasks); err != nil {
			return Metrics{}, 0, err
		}
		norm = l.outer().Norm(l.Engine, l.grads)
	} else {
		l.state.SkipsInRow = 0
	}
	l.state.Step++
	factor := l.schedule()
	o := l.outer()
	o.LR, o.RateLR = o.LR*factor, o.RateLR*factor
	o.Step(l.Engine, l.Learner().Values(), l.grads, norm, &l.optim)
	if !l.Engine.AllFinite(l.Learner().Values()) {
		return Metrics{}, 0, fmt.Errorf("step %d: the network's parameters are not finite any more, so nothing is saved of this step: the last good checkpoint is kept; lower train.lr and train.lr_lr", l.state.Step)
	}
	m := average(out)
	m.Kind, m.Step, m.GradNorm, m.Examples = "train", l.state.Step, norm, l.state.Examples
	values := l.Learner().Values()
	sizes := values[len(values)-l.Learner().StepSizes():]
	for _, v := range sizes {
		m.Rate += float64(v) / float64(len(sizes))
	}
	return m, len(out) * edits, nil
}

// gradients adds up the gradients of tasks in l.grads, batch by batch.
func (l *Loop) gradients(tasks []meta.Task) ([]meta.Outcome, error) {
	if l.turns != nil {
		return l.turns.gradients(l, tasks)
	}
	size := l.Config.Train.Batch
	if size == 0 {
		size = len(tasks)
	}
	var out []meta.Outcome
	for lo := 0; lo < len(tasks); lo += size {
		o, err := l.Learner().Step(tasks[lo:min(lo+size, len(tasks))], l.grads, lo > 0)
		if err != nil {
			return nil, err
		}
		out = append(out, o...)
	}
	return out, nil
}

// outer is the optimiser's step under the config.
func (l *Loop) outer() optim.Outer {
	c := l.Config.Train
	return optim.Outer{LR: c.LR, RateLR: c.LRLR, Rates: l.Learner().StepSizes(), Divisor: l.divisor, Clip: c.GradClip}
}

// oneByOne repeats a step whose gradient was not finite, leaving out the
// examples that cause it. The divisor stays, as in the reference.
func (l *Loop) oneByOne(tasks []meta.Task) ([]meta.Outcome, error) {
	l.Learner().Explain(true)
	defer l.Learner().Explain(false)
	one := make([]float32, len(l.grads))
	clear(l.grads)
	var kept []meta.Outcome
	for _, t := range tasks {
		back := l.Learner().Mark()
		out, err := l.Learner().Step([]meta.Task{t}, one, false)
		if err == nil && !l.Engine.AllFinite(one) {
			err = fmt.Errorf("its gradient is not finite")
		}
		if err != nil {
			back()
			l.state.Skips++
			l.state.SkipsInRow++
			l.observer.Skipped(t.ID, err)
			if l.state.SkipsInRow > l.Config.Train.MaxSkips {
				return nil, fmt.Errorf("step %d, edit %s: %w; %d examples in a row were not finite (train.max_skips): the last good checkpoint is kept; lower train.lr and train.lr_lr, or look at this edit",
					l.state.Step+1, t.ID, err, l.state.SkipsInRow)
			}
			continue
		}
		l.state.SkipsInRow = 0
		l.Engine.AddTo(l.grads, one)
		kept = append(kept, out...)
	}
	if s := l.state; s.Skips > l.Config.Train.MaxSkips && 2*s.Skips > s.Examples {
		return nil, fmt.Errorf("step %d: %d of %d examples were left out, since their loss or gradient was not finite: the last good checkpoint is kept; lower train.lr and train.lr_lr, or look at the edits",
			s.Step+1, s.Skips, s.Examples)
	}
	return kept, nil
}

// schedule is the factor on the rates at the present step.
func (l *Loop) schedule() float64 {
	c, step := l.Config.Train, float64(l.state.Step)
	f := 1.0
	if c.Warmup > 0 && l.state.Step <= c.Warmup {
		f = step / float64(c.Warmup)
	}
	if c.Schedule == "cosine" {
		f *= 0.1 + 0.9*0.5*(1+math.Cos(math.Pi*min(1, step/float64(c.Steps))))
	}
	return f
}

// validate scores the validation subset and keeps track of the best.
func (l *Loop) validate() error {
	var out []meta.Outcome
	size := l.Config.Train.Batch // as many at a time as in training, so that it takes no more memory
	if size == 0 {
		size = l.Config.Train.Accumulate
	}
	size = min(size, 10)
	if l.turns != nil { // validation edits are made on the base model
		again, err := l.turns.lift(l.Sites)
		if err != nil {
			return err
		}
		defer again()
	}
	for lo := 0; lo < len(l.valTasks); lo += size {
		o, err := l.Learner().Score(l.valTasks[lo:min(lo+size, len(l.valTasks))])
		if err != nil {
			return err
		}
		out = append(out, o...)
	}
	m := average(out)
	m.Kind, m.Step, m.Examples = "val", l.state.Step, len(out)
	best := !math.IsNaN(m.Total) && (l.state.BestStep == 0 || m.Total < l.state.Best)
	if best {
		l.state.Best, l.state.BestStep, l.state.Since = m.Total, l.state.Step, 0
	} else {
		l.state.Since++
	}
	l.state.Stopped = l.Config.Train.Patience > 0 && l.state.Since >= l.Config.Train.Patience
	l.lastMetrics = map[string]float64{
		"val_step": float64(m.Step), "val_loss": m.Total, "val_edit": m.Edit, "val_loc": m.Loc, "val_edit_acc": m.Right, "val_stability": m.Stability,
	}
	l.observer.Validated(m, best)
	return l.log.write(m)
}
