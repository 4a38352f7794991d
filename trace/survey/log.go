package survey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/internal/seal"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/trace"
)

// factLog keeps the outcome of each traced fact, so that an interrupted
// average goes on where it was. The file is made by the first outcome, so that
// what cannot be traced at all leaves none.
type factLog struct {
	path string
	head []byte // first line
	keep int64  // bytes of whole lines that are there
	file *os.File
	held *lock.Lock // nil like file
	done map[int]traced
}

// header is the first line of the file: all that decides the others.
type header struct {
	Version int          `json:"keyhole_trace"`
	Model   string       `json:"model"` // hash
	Facts   string       `json:"facts"` // SHA-256 of their file
	Config  trace.Config `json:"config"`
	Known   string       `json:"known"` // by what a fact counts as known: its whole answer

	Join       data.Join       `json:"join,omitempty"`
	Occurrence text.Occurrence `json:"occurrence,omitempty"`
	Chat       bool            `json:"chat,omitempty"` // prompts stand in the chat template
}

// traced is a line: the table of fact number Fact, or why there is none.
type traced struct {
	Fact    int           `json:"fact"`
	Result  *trace.Result `json:"result,omitempty"`
	Unknown bool          `json:"unknown,omitempty"`
	LeftOut string        `json:"left_out,omitempty"`
}

// openLog opens the file, if there is one. One that was made otherwise is
// an error; a last line without its end is cut off.
func openLog(path string, head header) (*factLog, error) {
	fail := func(err error) (*factLog, error) { return nil, fmt.Errorf("traced facts %s: %w", path, err) }
	first, err := sealedLine(head)
	if err != nil {
		return fail(err)
	}
	raw, err := regular.ReadFile(path, maxLog)
	isNew := errors.Is(err, os.ErrNotExist)
	if err != nil && !isNew {
		return fail(err)
	}
	whole := raw[:bytes.LastIndexByte(raw, '\n')+1]
	l := &factLog{path: path, head: first, keep: int64(len(whole)), done: map[int]traced{}}
	wholeSealed := false // the first line has a sum, and so has every other
	again := false
	for n, line := range bytes.Split(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n")) {
		if len(whole) == 0 {
			break
		}
		line, sealed, err := seal.Open(line)
		if err == nil && n > 0 && wholeSealed && !sealed {
			err = seal.ErrDamaged
		}
		if err == nil {
			err = seal.CheckText(line)
		}
		if err != nil {
			return fail(fmt.Errorf("line %d: %w; delete it, or choose another --out", n+1, err))
		}
		switch {
		case n == 0:
			wholeSealed = sealed
			was, err := readHeader(line)
			if err != nil {
				return fail(fmt.Errorf("line 1: %w; delete it, or choose another --out", err))
			}
			if again = was.Known == ""; again {
				was.Known = head.Known
			}
			if lm.OfOneModel(was.Model, head.Model) {
				was.Model = head.Model
			}
			if was != head {
				return fail(errors.New("it was made with another model, file of facts or settings; delete it, or choose another --out"))
			}
		case n > 0:
			var f traced
			if err := strictJSON(line, &f); err != nil {
				return fail(fmt.Errorf("line %d: %w; delete it, or choose another --out", n+1, err))
			}
			if again && f.Unknown {
				continue // as an earlier version decided it, by the answer's first token
			}
			l.done[f.Fact] = f
		}
	}
	if !isNew {
		if err := l.create(); err != nil {
			return fail(errors.Join(err, l.close()))
		}
	}
	return l, nil
}

// readHeader reads the first line. A setting that it lacks came later, and
// has the value that it had before it came.
func readHeader(line []byte) (header, error) {
	head := header{Config: trace.Default()}
	if err := configs.Backdate(&head.Config); err != nil {
		return head, err
	}
	return head, strictJSON(line, &head)
}

// strictJSON decodes a line whose fields are all known.
func strictJSON(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if len(bytes.TrimSpace(line[d.InputOffset():])) > 0 {
		return errors.New("text after the object")
	}
	return nil
}

// maxLog bounds the file: a fact takes some kilobytes.
const maxLog = 4 << 30

// sealedLine is v as a line of JSON with its sum.
func sealedLine(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err == nil {
		text, err = seal.Line(text)
	}
	return append(text, '\n'), err
}

// create opens or makes the file, for more lines behind the whole ones.
func (l *factLog) create() error {
	err := os.MkdirAll(filepath.Dir(l.path), 0o777)
	if err != nil {
		return err
	}
	if l.held, err = lock.Beside(l.path); err != nil {
		return err
	}
	if l.file, err = regular.OpenFile(l.path, os.O_CREATE|os.O_WRONLY, 0o666); err != nil {
		return err
	}
	if err = l.file.Truncate(l.keep); err == nil {
		_, err = l.file.Seek(l.keep, 0)
	}
	if err == nil && l.keep == 0 {
		_, err = l.file.Write(l.head)
	}
	return err
}

// put appends a line.
func (l *factLog) put(f traced) error {
	line, err := sealedLine(f)
	if err == nil && l.file == nil {
		err = l.create()
	}
	if err == nil {
		_, err = l.file.Write(line)
	}
	if err != nil {
		return fmt.Errorf("traced facts %s: %w", l.path, err)
	}
	return nil
}

func (l *factLog) close() error {
	var err error
	if l.file != nil {
		err = errors.Join(l.file.Sync(), l.file.Close())
	}
	if l.held != nil {
		err = errors.Join(err, l.held.Unlock())
	}
	return err
}
