package console

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"
)

// screen is a terminal as wide as it says, which keeps what stands on it.
type screen struct {
	width   int
	rows    []string // the last one is the cursor's
	wrapped int      // lines that did not fit
}

func (s *screen) Write(p []byte) (int, error) {
	text := string(p)
	for text != "" {
		last := len(s.rows) - 1
		switch {
		case strings.HasPrefix(text, "\n"):
			s.rows, text = append(s.rows, ""), text[1:]
		case strings.HasPrefix(text, "\r"):
			text = text[1:]
		case strings.HasPrefix(text, "\x1b[J"):
			s.rows[last], text = "", text[3:]
		case strings.HasPrefix(text, "\x1b["):
			var n int
			if _, err := fmt.Sscanf(text, "\x1b[%dA", &n); err != nil {
				panic(text)
			}
			s.rows = s.rows[:len(s.rows)-n]
			text = text[strings.IndexByte(text, 'A')+1:]
		default:
			end := strings.IndexAny(text, "\n\r\x1b")
			if end < 0 {
				end = len(text)
			}
			s.rows[last] += text[:end]
			if uniseg.StringWidth(s.rows[last]) > s.width {
				s.wrapped++
			}
			text = text[end:]
		}
	}
	return len(p), nil
}

// narrow changes the width as terminals do: what is too long goes on below.
func (s *screen) narrow(width int) {
	s.width = width
	last := s.rows[len(s.rows)-1]
	s.rows = s.rows[:len(s.rows)-1]
	for len(last) > width {
		s.rows, last = append(s.rows, last[:width]), last[width:]
	}
	s.rows = append(s.rows, last)
}

func terminal(width int) (*Console, *screen) {
	s := &screen{width: width, rows: []string{""}}
	return &Console{out: s, raw: s, size: func() int { return s.width }, cursor: true, bold: true}, s
}

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestTheLineSaysWhatIsKnown(t *testing.T) {
	c := Of(io.Discard)
	k := &clock{time.Unix(0, 0)}
	task := c.begin("", 0, 3000, k.now)
	task.Set(1)
	k.at = k.at.Add(1312 * time.Second)
	task.Set(1313, "26 edits/s", "loss "+Short(0.129))
	if got, want := task.line(0), "1313/3000  43 %  26 edits/s  loss .129  28 min left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	k.at = k.at.Add(10 * time.Minute)
	if got := task.line(0); !strings.HasSuffix(got, "18 min left") {
		t.Errorf("%q ten minutes later", got)
	}
	task.End()
}

func TestStepsThatComeAtOnceAreNoSpeed(t *testing.T) {
	k := &clock{time.Unix(0, 0)}
	task := Of(io.Discard).begin("eval", 5, 255, k.now)
	for edits := 10; edits <= 30; edits += 10 {
		k.at = k.at.Add(20 * time.Second)
		for i := range 10 {
			task.Set(edits - 4 + i)
		}
	}
	if got, ok := task.left(); !ok || got < 400*time.Second || got > 480*time.Second {
		t.Errorf("%v left of 220 edits that take 2 s each", got)
	}
	task.End()
}

func TestTheLineNeverWraps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"", "step", "3/15 alphaedit", "一つの知識を植え込む編集器", "👩‍👩‍👧‍👦 family of editors", strings.Repeat("long-name", 30), "ctrl\x1b[2J"}
	for width := 40; width <= 200; width++ {
		c, s := terminal(width)
		for _, name := range names {
			k := &clock{time.Unix(0, 0)}
			total := r.IntN(1_000_000_000)
			task := c.begin(name, 0, total, k.now)
			for range 4 {
				k.at = k.at.Add(time.Duration(r.IntN(1e6)) * time.Millisecond)
				done := task.done + r.IntN(total-task.done+1)
				task.Set(done, "26 edits/s", "loss .129", "東京 .5", strings.Repeat("x", r.IntN(60)))
				line := task.line(width - 1)
				if uniseg.StringWidth(line) >= width || strings.ContainsAny(line, "\n\x1b") {
					t.Fatalf("%d columns: %q has %d", width, line, uniseg.StringWidth(line))
				}
				if !strings.Contains(line, fmt.Sprintf("%d/%d", task.done, total)) {
					t.Fatalf("%d columns: %q does not say how far it is", width, line)
				}
			}
			task.End()
		}
		if s.wrapped > 0 {
			t.Fatalf("%d columns: %d lines wrapped", width, s.wrapped)
		}
	}
}

func TestLinesStandAboveTheProgress(t *testing.T) {
	c, s := terminal(80)
	out, _ := terminal(80)
	out.out, out.raw = s, s
	out.Above(c)
	task := c.Begin("work", 0, 10)
	fmt.Fprintln(c, "a note")
	fmt.Fprintln(out, "a result")
	fmt.Fprintln(c, "another")
	task.End()
	got := strings.Join(s.rows, "\n")
	if want := "a note\na result\nanother\nwork  0/10  0 % ["; !strings.HasPrefix(got, want) || strings.Count(got, "work") != 1 {
		t.Errorf("%q, want %q …", got, want)
	}
}

func TestANarrowerTerminalKeepsOneLine(t *testing.T) {
	c, s := terminal(120)
	k := &clock{time.Unix(0, 0)}
	task := c.begin("work", 0, 1000, k.now)
	fmt.Fprintln(c, "a note")
	c.mu.Lock()
	s.narrow(45)
	c.draw()
	c.mu.Unlock()
	if got := strings.Join(s.rows, "\n"); strings.Count(got, "work") != 1 || !strings.HasPrefix(got, "a note\n") {
		t.Errorf("%q", got)
	}
	task.End()
}

func TestAPipeGetsALineAMinute(t *testing.T) {
	var b bytes.Buffer
	c := Of(&b)
	k := &clock{time.Unix(0, 0)}
	task := c.begin("step", 0, 600, k.now)
	for i := range 600 {
		k.at = k.at.Add(time.Second)
		task.Set(i + 1)
	}
	task.End()
	if n := strings.Count(b.String(), "\n"); n != 11 { // ten minutes, and the end
		t.Errorf("%d lines in ten minutes:\n%s", n, b.String())
	}
	b.Reset()
	c.begin("short", 0, 1, k.now).End()
	if b.Len() > 0 {
		t.Errorf("a short task: %q", b.String())
	}
	c.Quiet()
	fmt.Fprintln(c, "a note")
	task = c.begin("step", 0, 2, k.now)
	k.at = k.at.Add(time.Hour)
	task.Set(1)
	task.End()
	fmt.Fprintln(c.Loud(), "an error")
	if b.String() != "an error\n" {
		t.Errorf("quiet: %q", b.String())
	}
}

func TestWordsForTheShell(t *testing.T) {
	for word, want := range map[string]string{
		"runs/a": "runs/a", "a b": `"a b"`, "it's": `"it's"`, "$x": `'$x'`, "a'$b": `'a'\''$b'`, "": "''", "Zürich": "Zürich", "a;b": `"a;b"`,
	} {
		if got := Shell(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}

func TestTimesAndNumbers(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0 s", 45 * time.Second: "45 s", 28 * time.Minute: "28 min", 200 * time.Minute: "3 h 20 min", 51 * time.Hour: "2 d 3 h"} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for v, want := range map[float64]string{0.129: ".129", 1.5: "1.5", 12.34: "12.3", 1234: "1234", 1e-5: "1e-5", 0: "0", 1: "1", 2.5e7: "2.5e7"} {
		if got := Short(v); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
}
