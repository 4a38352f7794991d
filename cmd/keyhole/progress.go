package main

import (
	"fmt"
	"io"
	"time"

	"keyhole.example/keyhole/train"
)

// progress shows a training run.
type progress struct {
	w     io.Writer
	bar   *bar
	edits int
	start time.Time
}

func newProgress(w io.Writer) *progress { return &progress{w: w} }

// Started implements train.Observer.
func (p *progress) Started(done, steps int) {
	p.start, p.bar = time.Now(), newBar(p.w, "step", steps)
	p.bar.last = barParts * done / max(steps, 1)
	p.bar.set(done, "")
}

// Stepped implements train.Observer.
func (p *progress) Stepped(m train.Metrics, edits int) {
	p.edits += edits
	rate := float64(p.edits) / time.Since(p.start).Seconds()
	p.bar.set(m.Step, fmt.Sprintf("loss %.4f  edit %.3f  loc %.2e  %.1f edits/s", m.Total, m.Edit, m.Loc, rate))
}

// Validated implements train.Observer.
func (p *progress) Validated(m train.Metrics, best bool) {
	mark := ""
	if best {
		mark = "  best"
	}
	p.bar.line("validation at step %d: loss %.4f  edit_acc %.3f  stability %.3f  loc %.2e%s", m.Step, m.Total, m.Right, m.Stability, m.Loc, mark)
}

// Saved implements train.Observer.
func (p *progress) Saved(dir string) {
	if !isTerminal(p.w) {
		fmt.Fprintf(p.w, "saved %s\n", dir)
	}
}

// Skipped implements train.Observer.
func (p *progress) Skipped(id string, err error) { p.bar.line("left out edit %s: %v", id, err) }

func (p *progress) finish() { p.bar.finish() }
