// Package progress shows people how long work goes on: trainings, evaluations, the
// collection of statistics, and files that are fetched.
//
// Read screen.go, then fetch.go. What is shown where is internal/console's.
package progress

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/pretrain"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/train/sites"
)

// Screen shows trainings, evaluations and the collection of statistics, one at a time.
// It is a train.Observer, a sites.Observer, a workbench.Watcher and a compare.Watcher.
type Screen struct {
	Kept string // where an evaluation's lines are kept as they come; "": nowhere

	c     *console.Console
	task  *console.Task
	name  string // of the evaluation that the task is
	which string // of how many evaluations this is one: "2/7 rome"

	edits int
	start time.Time
	saved int // step of the last checkpoint
	step  int
}

// On shows it on a stream.
func On(w io.Writer) *Screen { return &Screen{c: console.Of(w)} }

func (p *Screen) say(format string, args ...any) { fmt.Fprintf(p.c, format+"\n", args...) }

// named is the name of a task among several.
func (p *Screen) named(what string) string {
	if p.which == "" {
		return what
	}
	return p.which + ": " + what
}

// Comparing implements compare.Watcher.
func (p *Screen) Comparing(label string, i, n int) { p.which = fmt.Sprintf("%d/%d %s", i, n, label) }

// Started implements train.Observer.
func (p *Screen) Started(done, steps int) {
	p.start, p.edits, p.saved, p.step = time.Now(), 0, done, done
	p.task = p.c.Begin(p.named("step"), done, steps)
	p.task.Loses(func() string {
		if p.step == p.saved {
			return "nothing but the step in progress"
		}
		return fmt.Sprintf("steps %d to %d, behind the last checkpoint", p.saved+1, p.step)
	})
}

// Stepped implements train.Observer.
func (p *Screen) Stepped(m train.Metrics, edits int) {
	p.edits += edits
	p.step = m.Step
	rate := float64(p.edits) / time.Since(p.start).Seconds()
	p.task.Set(m.Step, console.Short(rate)+" edits/s", "loss "+console.Short(m.Total), "edit "+console.Short(m.Edit), "loc "+console.Short(m.Loc))
}

// Validated implements train.Observer.
func (p *Screen) Validated(m train.Metrics, best bool) {
	mark := ""
	if best {
		mark = "  best"
	}
	p.say("validation at step %d: loss %.4f  edit_acc %.3f  stability %.3f  loc %.2e%s", m.Step, m.Total, m.Right, m.Stability, m.Loc, mark)
}

// Saved implements train.Observer.
func (p *Screen) Saved(dir string) {
	p.saved = p.step
	if !p.c.Bold() {
		p.say("saved %s", dir)
	}
}

// Pretraining shows a step of pretrain.Run.
func (p *Screen) Pretraining(x pretrain.Progress) {
	if p.task == nil {
		p.task = p.c.Begin("step", 0, x.Steps)
	}
	p.task.Set(x.Step, "loss "+console.Short(x.Loss))
}

// Traced implements sites.Observer.
func (p *Screen) Traced(known, facts int) {
	if p.task == nil {
		p.task = p.c.Begin("trace", 0, facts)
	}
	if p.task.Set(known); known == facts {
		p.Finish()
	}
}

// Trying implements sites.Observer.
func (p *Screen) Trying(c sites.Candidate, i, n int) {
	p.Finish()
	p.Comparing(strings.Join(c.Sites, " "), i, n)
}

// Skipped implements train.Observer.
func (p *Screen) Skipped(id string, err error) { p.say("left out edit %s: %v", id, err) }

// Found implements workbench.Trainee.
func (p *Screen) Found(dir string, step int, done bool) {
	if done {
		p.say("%s holds a finished run of %d steps; it is used as it is.", dir, step)
		return
	}
	p.say("%s holds a run of %d steps so far; going on.", dir, step)
}

// Ended implements workbench.Trainee.
func (p *Screen) Ended(string, int) { p.Finish() }

// Collecting implements workbench.Watcher.
func (p *Screen) Collecting(text string, done, total int) {
	if p.task == nil {
		p.say("collecting statistics from %s", text)
		p.task = p.c.Begin(p.named("tokens"), 0, total)
		p.task.Loses(func() string { return "the statistics collected so far" })
	}
	p.task.Set(done)
}

// Collected implements workbench.Watcher.
func (p *Screen) Collected(text string, moments []*stats.Moment) {
	p.Finish()
	for _, m := range moments {
		p.say("statistics of %s: %d tokens of %s", m.Site, m.Tokens, text)
		if m.Note != "" {
			p.say("%s", m.Note)
		}
	}
}

// Evaluating implements compare.Watcher.
func (p *Screen) Evaluating(label string, e eval.Progress) {
	if p.task == nil || p.name != label {
		p.Finish()
		name := label
		if p.which != "" {
			name = p.which
		}
		p.task, p.name = p.c.Begin(name, e.Done, e.Total), label
		p.task.Loses(func() string {
			if p.Kept == "" {
				return "what was evaluated: --out keeps it as it comes"
			}
			return "the edits in progress; what was evaluated before is in " + p.Kept
		})
	}
	var facts []string
	for _, f := range []struct {
		name string
		mean float64
	}{{"reliability", e.Reliability}, {"locality", e.Locality}} {
		if !math.IsNaN(f.mean) {
			facts = append(facts, f.name+" "+console.Short(f.mean))
		}
	}
	p.task.Set(e.Done, facts...)
}

// Evaluated implements compare.Watcher.
func (p *Screen) Evaluated(label string, err error) {
	p.Finish()
	if err != nil {
		p.say("%s has no figures: %v", label, err)
	}
}

// Finish leaves the line as it stands.
func (p *Screen) Finish() {
	p.task.End()
	p.task = nil
}
