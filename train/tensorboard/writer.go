package tensorboard

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// namePrefix begins the name of every event file; ten digits of seconds since
// 1970, a counter and a suffix follow.
const namePrefix = "events.out.tfevents."

// Writer writes one event file. It is not safe for concurrent use.
type Writer struct {
	f   *os.File
	buf *bufio.Writer
	now func() time.Time
	err error // the first failure of the disk; nothing is written after it
}

// Create makes the folder dir if need be and begins a new event file in it.
// first is the first step that this run will record: 0 for a new run, n+1 for
// one resumed after step n; TensorBoard then drops what older files in dir say
// about first and later. now gives the time of the events.
func Create(dir string, first int64, now func() time.Time) (*Writer, error) {
	if first < 0 {
		return nil, fmt.Errorf("tensorboard: first step %d is negative", first)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	f, err := createAfter(dir, now().Unix())
	if err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	w := &Writer{f: f, buf: bufio.NewWriter(f), now: now}
	w.write(appendBytes(event(w.seconds(), 0), eventFileVersion, []byte(fileVersion)))
	if first > 0 {
		start := appendVarint(nil, sessionStatus, sessionStart)
		w.write(appendBytes(event(w.seconds(), first), eventSessionLog, start))
	}
	if err := w.Flush(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// createAfter makes a new event file whose name sorts after those in dir, even
// if the clock went back: TensorBoard reads the files in the order of names.
func createAfter(dir string, seconds int64) (*os.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), namePrefix)
		digits, _, _ := strings.Cut(rest, ".")
		if s, err := strconv.ParseInt(digits, 10, 64); ok && err == nil && len(digits) == 10 {
			seconds = max(seconds, s)
		}
	}
	const most = 10000 // starts within one second
	for n := range most {
		name := fmt.Sprintf("%s%010d.%04d.keyhole", namePrefix, seconds, n)
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return nil, fmt.Errorf("%s holds %d event files of one second; move some away", dir, most)
}

// Name is the path of the event file.
func (w *Writer) Name() string { return w.f.Name() }

// Scalar records one value at a step. A tag such as train/loss puts the curve
// into the group train. Non-finite values are recorded as they are.
func (w *Writer) Scalar(tag string, step int64, value float64) error {
	return w.Scalars(step, map[string]float64{tag: value})
}

// Scalars records several values at a step as one event, sorted by tag.
func (w *Writer) Scalars(step int64, values map[string]float64) error {
	if step < 0 {
		return fmt.Errorf("tensorboard: step %d is negative", step)
	}
	var summary []byte
	for _, tag := range slices.Sorted(maps.Keys(values)) {
		if tag == "" || !utf8.ValidString(tag) {
			return fmt.Errorf("tensorboard: tag %q is empty or not UTF-8", tag)
		}
		summary = appendBytes(summary, summaryValue, scalar(tag, float32(values[tag])))
	}
	w.write(appendBytes(event(w.seconds(), step), eventSummary, summary))
	return w.err
}

// Flush hands everything written so far to the operating system.
func (w *Writer) Flush() error {
	if w.err == nil {
		if err := w.buf.Flush(); err != nil {
			w.err = fmt.Errorf("tensorboard: write %s: %w", w.f.Name(), err)
		}
	}
	return w.err
}

// Close flushes and closes the file. It returns the first error of all writes.
func (w *Writer) Close() error {
	err := w.Flush()
	if closeErr := w.f.Close(); closeErr != nil && err == nil {
		err = fmt.Errorf("tensorboard: %w", closeErr)
	}
	return err
}

func (w *Writer) write(event []byte) {
	if w.err != nil {
		return
	}
	if err := frame(w.buf, event); err != nil {
		w.err = fmt.Errorf("tensorboard: write %s: %w", w.f.Name(), err)
	}
}

// seconds is the time now, since 1970.
func (w *Writer) seconds() float64 { return float64(w.now().UnixNano()) / 1e9 }
