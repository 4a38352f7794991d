// Package console is how the program speaks to people while it works: lines on a
// stream and, on a terminal, one line below them that says how far the work is.
//
// The central types are Console, a stream, and Task, what is being done. Read
// console.go (what stands where), task.go (what is known of a task), line.go (what
// of it fits).
//
// Promises: the line below never wraps, whatever the terminal's width, and follows
// it; what is written meanwhile stands above; in a pipe, and on a terminal without
// a cursor (TERM=dumb), a task gets a line a minute instead; NO_COLOR is obeyed.
package console

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"keyhole.example/keyhole/internal/printable"
)

// Console is a stream for people. It is safe for concurrent use.
type Console struct {
	out    io.Writer // control characters are shown
	raw    io.Writer // and are obeyed
	size   func() int
	cursor bool // a terminal that obeys control sequences
	bold   bool

	edit func([]byte) []byte // of what is written; nil: nothing

	mu    sync.Mutex
	mute  bool
	wide  bool
	prose bool     // lines are broken where words end
	below *Console // whose line has to give way
	task  *Task    // nil: none
	drawn int      // columns of the line that stands below; 0: none
	open  bool     // the last line written has no end yet
}

// New is a console over a stream of the process.
func New(f *os.File, out *printable.Writer) *Console {
	c := &Console{out: out, raw: out.Raw(), size: func() int { return 0 }}
	if out.Terminal() {
		c.size = func() int { return columns(f) }
		c.cursor = os.Getenv("TERM") != "dumb"
		c.bold = c.cursor && os.Getenv("NO_COLOR") == ""
	}
	return c
}

// Of is w as a console; one over another writer is no terminal.
func Of(w io.Writer) *Console {
	if c, ok := w.(*Console); ok {
		return c
	}
	return &Console{out: w, raw: w, size: func() int { return 0 }}
}

// columns are those of a terminal.
func columns(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	if w, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && w > 0 {
		return w
	}
	return 80
}

// Above says that the line below a console c is on the same terminal, so that it
// gives way to what is written here.
func (c *Console) Above(status *Console) { c.below = status }

// Rewrite passes what is written through edit.
func (c *Console) Rewrite(edit func([]byte) []byte) { c.edit = edit }

// Quiet drops what is written from now on, and the progress of tasks.
func (c *Console) Quiet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mute = true
}

// Loud writes even where the console is quiet.
func (c *Console) Loud() io.Writer { return loud{c} }

type loud struct{ *Console }

func (l loud) Write(p []byte) (int, error) { return l.write(p) }

// Wide makes Width 0: nothing has to fit any more.
func (c *Console) Wide() { c.wide = true }

// Width is the number of columns that lines may have; 0: any.
func (c *Console) Width() int {
	if c.wide {
		return 0
	}
	return c.size()
}

// Bold tells whether the console shows bold letters.
func (c *Console) Bold() bool { return c.bold }

// Raw is the stream itself, for control sequences of the program's own; the line
// below gives way.
func (c *Console) Raw() io.Writer { return raw{c} }

type raw struct{ *Console }

func (r raw) Write(p []byte) (int, error) { return r.through(r.Console.raw, p) }

// JSON makes the escapes of control characters those of JSON, and folds nothing.
func (c *Console) JSON() {
	c.prose = false
	if p, ok := c.out.(*printable.Writer); ok {
		p.JSON()
	}
}

// Flush writes what is left of a character whose end never came.
func (c *Console) Flush() error {
	if p, ok := c.out.(*printable.Writer); ok {
		return p.Flush()
	}
	return nil
}

// Write implements io.Writer.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	mute := c.mute
	c.mu.Unlock()
	if mute {
		return len(p), nil
	}
	return c.write(p)
}

func (c *Console) write(p []byte) (int, error) { return c.through(c.out, p) }

// through writes to a stream while the line below is away.
func (c *Console) through(w io.Writer, p []byte) (int, error) {
	if c.below != nil {
		c.below.mu.Lock()
		defer c.below.mu.Unlock()
		c.below.erase()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erase()
	text := p
	if width := c.Width(); c.prose && width > 0 && !c.open {
		text = []byte(fold(string(p), width))
	}
	if c.edit != nil {
		text = c.edit(text)
	}
	_, err := w.Write(text)
	c.open = len(p) > 0 && !bytes.HasSuffix(p, []byte("\n"))
	if c.task != nil && !c.open {
		c.draw()
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// erase takes the line below away. On a terminal that became narrower it stands on
// several rows.
func (c *Console) erase() {
	if c.drawn == 0 {
		return
	}
	up := ""
	if width := c.size(); width > 0 && c.drawn > width {
		up = fmt.Sprintf("\x1b[%dA", (c.drawn-1)/width)
	}
	_, _ = io.WriteString(c.raw, "\r"+up+"\x1b[J") // a line that cannot be drawn is no reason to stop
	c.drawn = 0
}

// draw puts the line below, in place of what stands there.
func (c *Console) draw() {
	if !c.cursor || c.mute || c.open {
		return
	}
	width := c.size()
	line := c.task.line(width - 1) // a letter in the last column makes some terminals go on
	columns := lineWidth(line)
	c.erase()
	_, _ = io.WriteString(c.raw, line)
	c.drawn, c.task.shown, c.task.width = columns, c.task.now(), width
}

// Close takes the line below away for good.
func (c *Console) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erase()
	c.task = nil
}

// Lost says what stopping at once would lose; "" if nothing is known of that.
func (c *Console) Lost() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.task == nil || c.task.lost == nil {
		return ""
	}
	return c.task.lost()
}

// Shell is a word as a POSIX shell reads it back.
func Shell(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r > 0x7f || strings.ContainsRune("_-+=./:,@%", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	if !strings.ContainsAny(word, "\"$`\\!") && word != "" {
		return `"` + word + `"`
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

const (
	frame = 100 * time.Millisecond // between two drawings
	look  = 250 * time.Millisecond // at the terminal's width
	still = time.Second            // after which the time left is counted down
	quiet = time.Minute            // between lines in a pipe
	brief = 10 * time.Second       // a shorter task needs no last line in a pipe
)
