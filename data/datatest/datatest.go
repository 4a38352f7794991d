package datatest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/data"
)

// Run checks every format against its samples under dir. It fails if a format
// has no good or no bad sample, or a folder of samples no format.
func Run(t *testing.T, dir string, update bool) {
	var names []string
	for _, fm := range data.Formats() {
		names = append(names, fm.Name)
		t.Run(fm.Name, func(t *testing.T) {
			good, bad := samples(t, dir, fm.Name, "good"), samples(t, dir, fm.Name, "bad")
			for _, path := range good {
				t.Run("good/"+filepath.Base(path), func(t *testing.T) { checkGood(t, fm, path, dir, update) })
			}
			for _, path := range bad {
				t.Run("bad/"+filepath.Base(path), func(t *testing.T) { checkBad(t, fm, path, dir, update) })
			}
		})
	}
	folders, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if f.IsDir() && f.Name() != "fuzz" && !slices.Contains(names, f.Name()) {
			t.Errorf("folder %s belongs to no format", f.Name())
		}
	}
}

// samples lists the data files of a format; there must be some.
func samples(t *testing.T, dir, format, kind string) []string {
	t.Helper()
	var out []string
	for _, ending := range []string{"*.jsonl", "*.json", "*.csv", "*.yaml"} {
		paths, err := filepath.Glob(filepath.Join(dir, format, kind, ending))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			if !strings.HasSuffix(p, ".want.json") {
				out = append(out, p)
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("no samples in %s", filepath.Join(dir, format, kind))
	}
	return out
}

func checkGood(t *testing.T, fm data.Format, path, dir string, update bool) {
	got, err := read(fm, path, dir, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Format != fm.Name {
		t.Errorf("format %q, want %q", got.Format, fm.Name)
	}
	text := encode(t, got)
	compare(t, strings.TrimSuffix(path, filepath.Ext(path))+".want.json", text, update)
	counts(t, got)

	same := func(what, path string, o data.Options) {
		again, err := read(fm, path, dir, o)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if !bytes.Equal(encode(t, again), text) {
			t.Errorf("%s reads differently:\n%s", what, encode(t, again))
		}
	}
	same("with SkipBad", path, data.Options{SkipBad: true})
	same("with the format named", path, data.Options{Format: fm.Name})
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	same("packed under another name", write(t, "x.txt", packed(t, raw)), data.Options{})
	same("after a byte order mark", write(t, "x.bin", append([]byte("\xef\xbb\xbf"), raw...)), data.Options{})
	same("with Windows line ends", write(t, "x.csv", bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))), data.Options{})

	if got.set == nil {
		return
	}
	Edits(t, got.set)
	one, err := data.Load(path, data.Options{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(one.Edits, got.set.Edits[:1]) {
		t.Error("Limit 1 does not give the first edit")
	}
}

func checkBad(t *testing.T, fm data.Format, path, dir string, update bool) {
	_, err := read(fm, path, dir, data.Options{})
	if err == nil {
		t.Fatal("no error")
	}
	var rec *data.RecordError
	if !errors.As(err, &rec) {
		t.Fatalf("want a RecordError, got %v", err)
	}
	if rec.File != path || rec.Line < 1 || rec.Reason == "" {
		t.Errorf("file, line or reason is missing: %+v", rec)
	}
	message, _ := strings.CutPrefix(err.Error(), path+": ")
	compare(t, strings.TrimSuffix(path, filepath.Ext(path))+".want", []byte(message+"\n"), update)
	if fm.Reader == "Set.MergeNeighbors" {
		return
	}
	skipped, err := read(fm, path, dir, data.Options{SkipBad: true})
	if err != nil {
		t.Fatalf("with SkipBad: %v", err)
	}
	counts(t, skipped)
	if !slices.ContainsFunc(skipped.Dropped, func(d data.Drop) bool { return d.Bad && d.Count > 0 && d.Line == rec.Line }) {
		t.Errorf("with SkipBad the bad record of line %d is not counted: %+v", rec.Line, skipped.Dropped)
	}
	if skipped.set != nil {
		Edits(t, skipped.set)
	}
}

// counts checks that each record that was read is accounted for.
func counts(t *testing.T, r *result) {
	t.Helper()
	sum := r.Kept + r.Filtered
	for _, d := range r.Dropped {
		sum += d.Count
	}
	if sum != r.Records || r.Kept == 0 {
		t.Errorf("%d records read, but %d kept and %d accounted for", r.Records, r.Kept, sum)
	}
}

// Edits checks what must hold of every loaded set, and that writing its first
// edits and reading them again gives the same.
func Edits(t testing.TB, s *data.Set) {
	t.Helper()
	seen := make(map[string]bool)
	for i := range s.Edits {
		e := &s.Edits[i]
		if seen[e.ID] {
			t.Fatalf("edit %d: the id %q occurs twice", i, e.ID)
		}
		seen[e.ID] = true
		edit(t, e)
		if e.Source.Line < 1 || e.Source.SHA256 != s.SHA256 || e.Source.Dataset != s.Format {
			t.Fatalf("edit %s: source %+v is not that of the set", e.ID, e.Source)
		}
		if i > 0 && e.Source.Index <= s.Edits[i-1].Source.Index {
			t.Fatalf("edit %s: out of file order", e.ID)
		}
	}
	const most = 300 // the round trip is slow
	edits := s.Edits[:min(most, len(s.Edits))]
	var buf bytes.Buffer
	if err := data.WriteEdits(&buf, edits); err != nil {
		t.Fatal(err)
	}
	again, err := data.Read(&buf, "written", data.Options{})
	if err != nil {
		t.Fatalf("read what was written: %v", err)
	}
	if a, b := bare(edits), bare(again.Edits); !reflect.DeepEqual(a, b) {
		t.Fatalf("written and read again, the edits differ:\n%+v\n%+v", a, b)
	}
}

func edit(t testing.TB, e *data.Edit) {
	t.Helper()
	if e.ID == "" || blank(e.Prompt) || blank(e.TargetNew) {
		t.Fatalf("id, prompt or target is blank: %+v", e)
	}
	once := e.Subject != "" && strings.Count(e.Prompt, e.Subject) == 1 && !strings.Contains(e.Prompt, "{}")
	if once && e.Template == "" || e.Template != "" && strings.Replace(e.Template, "{}", e.Subject, 1) != e.Prompt {
		t.Fatalf("edit %s: template %q does not fit subject %q and prompt %q", e.ID, e.Template, e.Subject, e.Prompt)
	}
	for _, texts := range [][]string{e.TargetTrue, e.TargetAlternatives, e.Paraphrases, e.GenerationPrompts} {
		if slices.ContainsFunc(texts, blank) {
			t.Fatalf("edit %s: a blank text: %+v", e.ID, e)
		}
	}
	for _, m := range []map[string][]data.Prompt{e.Locality, e.Portability, {"reverse": e.Reverse}} {
		for kind, prompts := range m {
			for _, p := range prompts {
				if blank(p.Prompt) || len(p.Answers) == 0 || slices.ContainsFunc(p.Answers, func(a []string) bool { return len(a) == 0 || slices.ContainsFunc(a, blank) }) {
					t.Fatalf("edit %s: a %s prompt lacks text or answer: %+v", e.ID, kind, p)
				}
			}
		}
	}
	if e.Chain != nil {
		for i := range e.Chain.Edits {
			edit(t, &e.Chain.Edits[i])
		}
	}
}

// bare returns copies of edits without their sources, by way of JSON, in which
// an empty list and none are the same.
func bare(edits []data.Edit) []any {
	var out []any
	for i := range edits {
		raw, err := json.Marshal(edits[i])
		var v any
		if err == nil {
			err = json.Unmarshal(raw, &v)
		}
		if err != nil {
			return []any{err}
		}
		strip(v)
		out = append(out, v)
	}
	return out
}

func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "source")
		for _, x := range v {
			strip(x)
		}
	case []any:
		for _, x := range v {
			strip(x)
		}
	}
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

func encode(t *testing.T, v any) []byte {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func compare(t *testing.T, path string, got []byte, update bool) {
	t.Helper()
	if update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s; got:\n%s", path, got)
	}
}

func packed(t *testing.T, raw []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func write(t *testing.T, name string, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
