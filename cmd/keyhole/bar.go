package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
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
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// newBar shows a task of total steps under a label on w.
func newBar(w io.Writer, label string, total int) *bar {
	b := &bar{w: w, label: label, total: total}
	if isTerminal(w) {
		b.drawn = progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(label),
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
		b.drawn.Describe(text)
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
