package console

import (
	"fmt"
	"time"
)

// Task is work whose end is known. Its methods may be called on nil, and do
// nothing.
type Task struct {
	c     *Console
	name  string
	total int
	done  int
	facts []string

	first int       // done at the beginning
	since time.Time // when base was done
	base  int
	last  time.Time // when done was
	begun time.Time
	ended bool
	lost  func() string

	shown time.Time // when a line was last drawn or written
	width int       // of the terminal then
	stop  chan struct{}
	now   func() time.Time
}

// Begin shows a task of total steps, of which done are over already. A task that
// is shown ends.
func (c *Console) Begin(name string, done, total int) *Task {
	return c.begin(name, done, total, time.Now)
}

func (c *Console) begin(name string, done, total int, now func() time.Time) *Task {
	c.mu.Lock()
	old := c.task
	c.mu.Unlock()
	old.End()
	t := &Task{c: c, name: name, total: total, done: done, first: done, base: done, now: now, begun: now(), shown: now(), stop: make(chan struct{})}
	c.mu.Lock()
	c.task = t
	c.draw()
	c.mu.Unlock()
	if c.cursor {
		go t.follow()
	}
	return t
}

// follow draws the line anew when the terminal has another width, and every second,
// for the time left.
func (t *Task) follow() {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
		}
		t.c.mu.Lock()
		if t.c.task == t && (t.c.size() != t.width || t.now().Sub(t.shown) >= still) {
			t.c.draw()
		}
		t.c.mu.Unlock()
	}
}

// Set says that done steps are over, and what else is known, the most important
// first.
func (t *Task) Set(done int, facts ...string) {
	if t == nil {
		return
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	now := t.now()
	switch {
	case t.since.IsZero() && done > t.base:
		t.since, t.base = now, done // what the first step needs, others do not
	case now.Sub(t.since) < time.Second:
		t.base = done // they come several at once
	}
	if done != t.done {
		t.last = now
	}
	t.done, t.facts = done, facts
	switch {
	case t.c.cursor && now.Sub(t.shown) >= frame:
		t.c.draw()
	case !t.c.cursor && now.Sub(t.shown) >= quiet:
		t.print()
	}
}

// Loses says what would be lost if the program were stopped now.
func (t *Task) Loses(what func() string) {
	if t == nil {
		return
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.lost = what
}

// print writes the line as one of the stream.
func (t *Task) print() {
	if !t.c.mute {
		fmt.Fprintln(t.c.out, t.line(0))
		t.shown = t.now()
	}
}

// End leaves the line as it stands.
func (t *Task) End() {
	if t == nil {
		return
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	close(t.stop)
	if t.c.task != t {
		return
	}
	switch {
	case t.c.mute:
	case t.c.cursor:
		t.c.draw()
		if t.c.drawn > 0 {
			fmt.Fprintln(t.c.raw)
			t.c.drawn = 0
		}
	case t.now().Sub(t.begun) >= brief:
		t.print()
	}
	t.c.task = nil
}

// left is how long the rest takes at the speed so far; false if that is not known.
func (t *Task) left() (time.Duration, bool) {
	if t.done <= t.first || t.done >= t.total || t.ended {
		return 0, false
	}
	since, base := t.since, t.base
	if t.last.Sub(since) < time.Second { // the first steps came at once
		since, base = t.begun, t.first
	}
	step := t.last.Sub(since).Seconds() / float64(t.done-base)
	if step <= 0 {
		return 0, false
	}
	d := time.Duration((float64(t.total-base)*step - t.now().Sub(since).Seconds()) * float64(time.Second))
	return max(d, 0), true
}
