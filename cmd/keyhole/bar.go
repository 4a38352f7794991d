package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"keyhole.example/keyhole/internal/printable"
	"keyhole.example/keyhole/report"
)

// barParts is how many plain lines a task gets where there is no terminal.
const barParts = 5

// bar shows how far a task is: a moving bar on a terminal, a few plain lines
// elsewhere.
type bar struct {
	w     io.Writer
	label string
	total int
	last  int // parts printed
	drawn *progressbar.ProgressBar
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	p, ok := w.(*printable.Writer)
	return ok && p.Terminal()
}

// showTable writes a table, on a terminal with the best cells in bold.
func showTable(w io.Writer, t *report.Table) error {
	if p, ok := w.(*printable.Writer); ok && p.Terminal() {
		return t.WriteText(p.Raw(), true) // its texts are escaped
	}
	return t.WriteText(w, false)
}

// newBar shows a task of total steps under a label on w.
func newBar(w io.Writer, label string, total int) *bar {
	b := &bar{w: w, label: label, total: total}
	if p, ok := w.(*printable.Writer); ok && p.Terminal() {
		b.drawn = progressbar.NewOptions(total, progressbar.OptionSetWriter(p.Raw()), progressbar.OptionSetDescription(printable.Escape(label)),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(24),
			progressbar.OptionThrottle(100*time.Millisecond))
	}
	return b
}

// set says that done steps are over; note is shown beside.
func (b *bar) set(done int, note string) {
	if b.drawn != nil {
		text := b.label
		if note != "" {
			text += "  " + note
		}
		b.drawn.Describe(printable.Escape(text))
		_ = b.drawn.Set(done) // a bar that cannot be drawn is no reason to stop
		return
	}
	part := barParts * done / max(b.total, 1)
	if part > b.last {
		b.last = part
		fmt.Fprintln(b.w, strings.TrimSpace(fmt.Sprintf("%s %d/%d  %s", b.label, done, b.total, note)))
	}
}

// line prints a line of its own above the bar.
func (b *bar) line(format string, args ...any) {
	if b.drawn != nil {
		_ = b.drawn.Clear()
	}
	fmt.Fprintf(b.w, format+"\n", args...)
}

// finish leaves the bar as it stands and goes to the next line.
func (b *bar) finish() {
	if b != nil && b.drawn != nil {
		_ = b.drawn.Exit()
		fmt.Fprintln(b.w)
		b.drawn = nil
	}
}
