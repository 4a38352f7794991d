package eval

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/seal"
)

func sampleFile(t testing.TB) (Header, []Line, []byte) {
	t.Helper()
	h := Header{Version: 1, Record: Record{Protocol: "single_restore"}, Model: "m", Data: "d", Editor: "e"}
	lines := []Line{
		{ID: "a", Values: Values{"reliability": {1, 1}, "generalization": {0.5, 2}}, Skipped: []string{"x"}, Cut: 1},
		{ID: "b", Dropped: "no <subject>"},
		{ID: "c", Values: Values{"locality_kl": {1.25e-7, 3}}, NotFinite: true},
	}
	raw, err := marshalLine(h)
	if err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		l, err := marshalLine(&lines[i])
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, l...)
	}
	return h, lines, raw
}

func TestAFileCutAtAnyByteGoesOnBehindItsLastCompleteLine(t *testing.T) {
	h, lines, raw := sampleFile(t)
	path := filepath.Join(t.TempDir(), "r.jsonl")
	for cut := range len(raw) + 1 {
		if err := os.WriteFile(path, raw[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := openResults(path, h)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		complete := max(0, bytes.Count(raw[:cut], []byte("\n"))-1)
		if len(f.lines) != complete || complete > 0 && !reflect.DeepEqual(f.lines, lines[:complete]) {
			t.Fatalf("cut at %d: lines %+v, want %+v", cut, f.lines, lines[:complete])
		}
		for i := range lines[complete:] {
			if err := f.write(&lines[complete+i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, raw) {
			t.Fatalf("cut at %d: %v, the file ends as %s", cut, err, got)
		}
	}
}

func TestDamagedLinesAreNamed(t *testing.T) {
	_, _, raw := sampleFile(t)
	lines := strings.SplitAfter(string(raw), "\n")
	text, _, err := seal.Open([]byte(strings.TrimSuffix(lines[0], "\n")))
	if err != nil {
		t.Fatal(err)
	}
	lines[0] = string(text) + "\n" // as the first version wrote it, whose lines need no sum
	for name, c := range map[string]struct{ text, want string }{
		"line in the middle": {lines[0] + "{\"id\":\n" + lines[1], "line 2"},
		"no id":              {lines[0] + "{}\n", "no id"},
		"tally of nothing":   {lines[0] + `{"id":"a","values":{"x":[1,0]}}` + "\n", "number of prompts"},
		"unknown field":      {lines[0] + `{"id":"a","value":1}` + "\n", "unknown field"},
		"two on a line":      {lines[0] + `{"id":"a"} {"id":"b"}` + "\n", "text after"},
		"other version":      {strings.Replace(lines[0], `"keyhole_results":1`, `"keyhole_results":2`, 1), "version 2"},
		"no line":            {`{"keyhole_results":1`, "first line"},
	} {
		if _, err := ReadResults(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestEveryBitOfAResultsFileCounts: a flipped bit is an error with its line, or
// makes the last line one that is not whole.
func TestEveryBitOfAResultsFileCounts(t *testing.T) {
	_, lines, raw := sampleFile(t)
	for bit := range 8 * len(raw) {
		bad := bytes.Clone(raw)
		bad[bit/8] ^= 1 << (bit % 8)
		r, err := ReadResults(bytes.NewReader(bad))
		if err == nil && (bit/8 != len(raw)-1 || len(r.Lines) != len(lines)-1) {
			t.Errorf("bit %d of byte %d flipped: %d lines", bit%8, bit/8, len(r.Lines))
		}
	}
}

func TestUnknownMetricsAndHalfCharactersAreRefused(t *testing.T) {
	first := `{"keyhole_results":1,"record":{}}` + "\n"
	for line, want := range map[string]string{
		`{"id":"a","values":{"reliability":[1,1],"locality.anything":[1,1]}}`: "",
		`{"id":"a","values":{"remiability":[1,1]}}`:                           `no metric "remiability"`,
		`{"id":"a\ud800"}`:   "half a character",
		"{\"id\":\"a\xff\"}": "UTF-8",
	} {
		_, err := ReadResults(strings.NewReader(first + line + "\n"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
	if dir := os.Getenv("KEYHOLE_SHARED"); dir != "" {
		for name, good := range map[string]bool{"results": true, "results-bit": false} {
			raw, err := os.ReadFile(filepath.Join(dir, "cases", "reliability", name+".jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ReadResults(bytes.NewReader(raw)); (err == nil) != good {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestAResultsFileHasOneWriter(t *testing.T) {
	h, _, _ := sampleFile(t)
	path := filepath.Join(t.TempDir(), "r.jsonl")
	f, err := openResults(path, h)
	if err != nil {
		t.Fatal(err)
	}
	var used *lock.InUseError
	if _, err := openResults(path, h); !errors.As(err, &used) || used.PID != os.Getpid() {
		t.Errorf("got %v", err)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	if f, err = openResults(path, h); err != nil {
		t.Fatal(err)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%d files, %v", len(entries), err)
	}
}

func TestDamagedTimesArePassedOver(t *testing.T) {
	path := timesName(filepath.Join(t.TempDir(), "r.jsonl"))
	want := timing{Edits: 3, Edit: 1.5, Score: 0.5, PeakBytes: 7}
	if err := appendTime(path, want); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(raw, `{"edits":`...), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := readTimes(path); !reflect.DeepEqual(got, []timing{want}) {
		t.Errorf("got %v", got)
	}
}

func FuzzReadResults(f *testing.F) {
	_, _, raw := sampleFile(f)
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := ReadResults(bytes.NewReader(raw))
		if err != nil {
			return
		}
		if r.Size > int64(len(raw)) || r.Size > 0 && raw[r.Size-1] != '\n' {
			t.Fatalf("size %d of %d bytes", r.Size, len(raw))
		}
		again, err := ReadResults(bytes.NewReader(raw[:r.Size]))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("read again: %v", err)
		}
		rep := newReport(r.Header.Record)
		for i := range r.Lines {
			rep.add(&r.Lines[i])
		}
		rep.finish(families())
	})
}
