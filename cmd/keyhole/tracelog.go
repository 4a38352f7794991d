package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"keyhole/trace"
)

// traceLog keeps the outcome of each traced fact, so that an interrupted
// average goes on where it was.
type traceLog struct {
	file *os.File
	done map[int]tracedFact
}

// traceHead is the first line of the file: all that decides the others.
type traceHead struct {
	Version int          `json:"keyhole_trace"`
	Model   string       `json:"model"` // hash
	Facts   string       `json:"facts"` // SHA-256 of their file
	Config  trace.Config `json:"config"`
}

// tracedFact is a line: the table of fact number Fact, or why there is none.
type tracedFact struct {
	Fact    int           `json:"fact"`
	Result  *trace.Result `json:"result,omitempty"`
	Unknown bool          `json:"unknown,omitempty"`
	LeftOut string        `json:"left_out,omitempty"`
}

// openTraceLog opens or creates the file. One that was made otherwise is an
// error; a last line without its end is cut off.
func openTraceLog(path string, head traceHead) (*traceLog, error) {
	fail := func(err error) (*traceLog, error) { return nil, fmt.Errorf("traced facts %s: %w", path, err) }
	first, err := json.Marshal(head)
	if err != nil {
		return fail(err)
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fail(err)
	}
	l := &traceLog{done: map[int]tracedFact{}}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	for n, line := range bytes.Split(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n")) {
		switch {
		case len(whole) == 0:
		case n == 0 && !bytes.Equal(line, first):
			return fail(errors.New("it was made with another model, file of facts or settings; delete it, or choose another --out"))
		case n > 0:
			var f tracedFact
			if err := json.Unmarshal(line, &f); err != nil {
				return fail(fmt.Errorf("line %d: %w; delete it, or choose another --out", n+1, err))
			}
			l.done[f.Fact] = f
		}
	}
	if l.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666); err != nil {
		return fail(err)
	}
	if err = l.file.Truncate(int64(len(whole))); err == nil {
		_, err = l.file.Seek(int64(len(whole)), 0)
	}
	if err == nil && len(whole) == 0 {
		_, err = l.file.Write(append(first, '\n'))
	}
	if err != nil {
		return fail(errorAfter(err, l.file.Close()))
	}
	return l, nil
}

// put appends a line.
func (l *traceLog) put(f tracedFact) error {
	line, err := json.Marshal(f)
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("traced facts %s: %w", l.file.Name(), err)
	}
	return nil
}

func (l *traceLog) close() error {
	return errorAfter(l.file.Sync(), l.file.Close())
}
