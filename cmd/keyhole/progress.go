package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/train"
)

// screen shows people how long work goes on: training, evaluations and the
// collection of statistics, one at a time.
type screen struct {
	w     io.Writer
	bar   *bar
	label string // of the evaluation that the bar shows
	pad   int    // width that labels of evaluations are padded to
	edits int
	start time.Time
}

func newScreen(w io.Writer) *screen { return &screen{w: w} }

func (p *screen) say(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

// Started implements train.Observer.
func (p *screen) Started(done, steps int) {
	p.start, p.bar = time.Now(), newBar(p.w, "step", steps)
	p.bar.last = barParts * done / max(steps, 1)
	p.bar.set(done, "")
}

// Stepped implements train.Observer.
func (p *screen) Stepped(m train.Metrics, edits int) {
	p.edits += edits
	rate := float64(p.edits) / time.Since(p.start).Seconds()
	p.bar.set(m.Step, fmt.Sprintf("loss %.4f  edit %.3f  loc %.2e  %.1f edits/s", m.Total, m.Edit, m.Loc, rate))
}

// Validated implements train.Observer.
func (p *screen) Validated(m train.Metrics, best bool) {
	mark := ""
	if best {
		mark = "  best"
	}
	p.bar.line("validation at step %d: loss %.4f  edit_acc %.3f  stability %.3f  loc %.2e%s", m.Step, m.Total, m.Right, m.Stability, m.Loc, mark)
}

// Saved implements train.Observer.
func (p *screen) Saved(dir string) {
	if !isTerminal(p.w) {
		fmt.Fprintf(p.w, "saved %s\n", dir)
	}
}

// Skipped implements train.Observer.
func (p *screen) Skipped(id string, err error) { p.bar.line("left out edit %s: %v", id, err) }

// Found implements workbench.Trainee.
func (p *screen) Found(dir string, step int, done bool) {
	if done {
		p.say("%s holds a finished run of %d steps; it is used as it is.", dir, step)
		return
	}
	p.say("%s holds a run of %d steps so far; going on.", dir, step)
}

// Ended implements workbench.Trainee.
func (p *screen) Ended(string, int) { p.finish() }

// Collecting implements workbench.Watcher.
func (p *screen) Collecting(text string, done, total int) {
	if p.bar == nil {
		p.say("collecting statistics from %s", text)
		p.bar = newBar(p.w, "tokens", total)
	}
	p.bar.set(done, "")
}

// Collected implements workbench.Watcher.
func (p *screen) Collected(text string, moments []*stats.Moment) {
	p.finish()
	for _, m := range moments {
		p.say("statistics of %s: %d tokens of %s", m.Site, m.Tokens, text)
	}
}

// Evaluating implements compare.Watcher.
func (p *screen) Evaluating(label string, e eval.Progress) {
	if p.bar == nil || p.label != label {
		p.finish()
		p.bar, p.label = newBar(p.w, fmt.Sprintf("%-*s", p.pad, label), e.Total), label
	}
	note := ""
	for _, f := range []struct {
		name string
		mean float64
	}{{"reliability", e.Reliability}, {"locality", e.Locality}} {
		if !math.IsNaN(f.mean) {
			note += fmt.Sprintf("%s %.3f  ", f.name, f.mean)
		}
	}
	p.bar.set(e.Done, strings.TrimSpace(note))
}

// Evaluated implements compare.Watcher.
func (p *screen) Evaluated(label string, err error) {
	p.finish()
	if err != nil {
		p.say("%s has no figures: %v", label, err)
	}
}

// finish leaves a bar as it stands.
func (p *screen) finish() {
	p.bar.finish()
	p.bar = nil
}
