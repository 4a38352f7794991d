package eval

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/internal/seal"
	"keyhole.example/keyhole/lm"
)

// resultsVersion is the version of the results file's format.
const resultsVersion = 1

// Header is the first line of a results file: all that decides its lines.
type Header struct {
	Version int    `json:"keyhole_results"`
	Record  Record `json:"record"`
	Model   string `json:"model"` // hash of the base model
	Data    string `json:"data"`  // name of the set
	Edits   string `json:"edits"` // hash of the set's edits
	Editor  string `json:"editor"`
	Config  string `json:"config,omitempty"` // fingerprint of the editor
	Metrics string `json:"metrics"`          // families
	Seed    uint64 `json:"seed"`
	Refs    string `json:"references,omitempty"` // hash of the reference texts
	Batch   int    `json:"batch,omitempty"`      // edits of a batch
	Text    string `json:"text,omitempty"`       // hash of the text for general ability
	Limit   int    `json:"limit,omitempty"`      // where the number of edits changes each one's result
	Texts   bool   `json:"texts,omitempty"`      // lines keep what was asked and answered
}

// Different lists where two headers differ.
func (h Header) Different(o Header) []string {
	out := h.Record.Different(o.Record)
	if !lm.OfOneModel(h.Model, o.Model) {
		out = append(out, fmt.Sprintf("base model: %v and %v", h.Model, o.Model))
	}
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"format version", h.Version, o.Version},
		{"data set", h.Data, o.Data},
		{"edits", h.Edits, o.Edits},
		{"editor", h.Editor, o.Editor},
		{"editor's configuration", h.Config, o.Config},
		{"metrics", h.Metrics, o.Metrics},
		{"seed", h.Seed, o.Seed},
		{"reference texts", h.Refs, o.Refs},
		{"batch", h.Batch, o.Batch},
		{"text for general ability", h.Text, o.Text},
		{"limit", h.Limit, o.Limit},
		{"texts kept", h.Texts, o.Texts},
	} {
		if f.a != f.b {
			out = append(out, fmt.Sprintf("%s: %v and %v", f.name, f.a, f.b))
		}
	}
	return out
}

// Line is one edit's result.
type Line struct {
	ID        string   `json:"id"`
	Dropped   string   `json:"dropped,omitempty"` // why the edit was not evaluated
	Values    Values   `json:"values,omitempty"`
	Texts     []*Said  `json:"texts,omitempty"` // where the header says so
	Skipped   []string `json:"skipped,omitempty"`
	Cut       int      `json:"cut,omitempty"`
	NotFinite bool     `json:"not_finite,omitempty"`
	Asked     string   `json:"asked,omitempty"` // "round": right after its round, where it is asked at the end too

	// Ability and Bytes stand in the line at the end of a sequence, which is of no
	// edit.
	Ability *Ability `json:"ability,omitempty"`
	Bytes   int64    `json:"bytes,omitempty"` // that all edits of the sequence take
}

// MarshalJSON writes [sum, n].
func (t Tally) MarshalJSON() ([]byte, error) { return json.Marshal([2]any{t.Sum, t.N}) }

// UnmarshalJSON reads [sum, n].
func (t *Tally) UnmarshalJSON(raw []byte) error {
	var v []float64
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	if len(v) != 2 || v[1] < 1 || v[1] != math.Trunc(v[1]) || v[1] > 1<<30 {
		return fmt.Errorf("want [sum, number of prompts], found %s", raw)
	}
	*t = Tally{v[0], int(v[1])}
	return nil
}

// Results is a results file as it was read.
type Results struct {
	Header Header
	Lines  []Line
	Size   int64 // bytes up to the last complete line
}

// ReadResults reads a results file. A last line without its end, as an
// interrupted evaluation leaves it, is passed over; anything else that is not a
// result is an error with its line. An input that ends within the first line
// has no header: errNoHeader.
func ReadResults(r io.Reader) (*Results, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	out := &Results{}
	whole := false // the header has a sum, and so has every line
	for n := 1; ; n++ {
		line, rest, ok := bytes.Cut(raw, []byte("\n"))
		if !ok {
			break
		}
		text, sealed, err := seal.Open(line)
		if n == 1 {
			whole = sealed
			if err == nil {
				err = decode(text, &out.Header)
			}
			if err == nil && out.Header.Version != resultsVersion {
				err = fmt.Errorf("results of version %d; this program writes %d", out.Header.Version, resultsVersion)
			}
		} else {
			var l Line
			if err == nil && whole && !sealed {
				err = seal.ErrDamaged
			}
			if err == nil {
				err = decode(text, &l)
			}
			if err == nil {
				err = l.check()
			}
			out.Lines = append(out.Lines, l)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: not a line of a results file: %w", n, err)
		}
		out.Size += int64(len(line)) + 1
		raw = rest
	}
	if out.Size == 0 {
		return nil, errNoHeader
	}
	return out, nil
}

// LoadResults reads the results file at path.
func LoadResults(path string) (*Results, error) {
	raw, err := regular.ReadFile(path, maxResults)
	if err != nil {
		return nil, fmt.Errorf("results file: %w", err)
	}
	out, err := ReadResults(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("results file %s: %w", path, err)
	}
	return out, nil
}

// check refuses a line that no evaluation writes.
func (l *Line) check() error {
	if l.ID == "" {
		return errors.New("it has no id")
	}
	for name := range l.Values {
		if _, ok := metricNamed(name); !ok {
			return fmt.Errorf("there is no metric %q: the line is damaged, or of a later version", name)
		}
	}
	return nil
}

var errNoHeader = errors.New("the first line is missing or incomplete")

func decode(line []byte, into any) error {
	if err := seal.CheckText(line); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if rest := bytes.TrimSpace(line[d.InputOffset():]); len(rest) > 0 {
		return errors.New("text after the object")
	}
	return nil
}

// resultsFile is a results file that lines are added to.
type resultsFile struct {
	file  *os.File
	lock  *lock.Lock
	lines []Line // that were there
	model string // hash of the base model that the file has; "": it is new
}

// openResults opens or starts the file at path. A file of another evaluation
// is an error that says where it differs, and is left as it is.
func openResults(path string, h Header) (*resultsFile, error) {
	first, err := marshalLine(h)
	if err != nil {
		return nil, err
	}
	out := &resultsFile{}
	if out.lock, err = lock.Beside(path); err != nil {
		return nil, fmt.Errorf("results file: %w", err)
	}
	if err := out.open(path, h, first); err != nil {
		return nil, errors.Join(err, out.lock.Unlock())
	}
	return out, nil
}

// maxResults bounds results files: a line has some kilobytes.
const maxResults = 4 << 30

func (out *resultsFile) open(path string, h Header, first []byte) error {
	raw, err := regular.ReadFile(path, maxResults)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("results file: %w", err)
	}
	keep := int64(0)
	if !bytes.HasPrefix(first, raw) || len(raw) == len(first) { // more than the beginning of our first line
		old, err := ReadResults(bytes.NewReader(raw))
		if err != nil {
			return fmt.Errorf("results file %s: %w; choose another file, or remove this one", path, err)
		}
		if d := old.Header.Different(h); len(d) > 0 {
			return fmt.Errorf("results file %s belongs to another evaluation (%s); choose another file, or remove this one", path, strings.Join(d, "; "))
		}
		out.lines, keep = old.Lines, old.Size
		out.model = old.Header.Model
	}
	if out.file, err = regular.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return fmt.Errorf("results file: %w", err)
	}
	if err := out.prepare(keep, first); err != nil {
		return errors.Join(fmt.Errorf("results file %s: %w", path, err), out.file.Close())
	}
	return nil
}

// prepare cuts the file behind its last complete line and stands there.
func (f *resultsFile) prepare(keep int64, first []byte) error {
	if err := f.file.Truncate(keep); err != nil {
		return err
	}
	if _, err := f.file.Seek(keep, io.SeekStart); err != nil {
		return err
	}
	if keep == 0 {
		_, err := f.file.Write(first)
		return err
	}
	return nil
}

// write adds a line.
func (f *resultsFile) write(l *Line) error {
	if f == nil {
		return nil
	}
	raw, err := marshalLine(l)
	if err != nil {
		return err
	}
	if _, err := f.file.Write(raw); err != nil {
		return fmt.Errorf("results file: %w; free some space and start again, what is written counts", err)
	}
	return nil
}

// sync makes sure that what was written is on the disk.
func (f *resultsFile) sync() error {
	if f == nil {
		return nil
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("results file: %w", err)
	}
	return nil
}

func (f *resultsFile) close() error {
	if f == nil {
		return nil
	}
	return errors.Join(f.file.Close(), f.lock.Unlock())
}

// marshalLine is v as a line of JSON with its sum.
func marshalLine(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write result: %w", err)
	}
	line, err := seal.Line(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	if err != nil {
		return nil, fmt.Errorf("write result: %w", err)
	}
	return append(line, '\n'), nil
}
