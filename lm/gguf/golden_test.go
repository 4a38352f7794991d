package gguf_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/lm/gguf"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
)

func files(t testing.TB, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.gguf"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no GGUF files in %s (%v)", dir, err)
	}
	return found
}

// TestGolden_values compares every tensor for which expected.safetensors has
// values, under the file's name up to "-" in either case, with these: equal.
func TestGolden_values(t *testing.T) {
	dir := golden.Path(t, "golden", "gguf")
	expected, err := safetensors.Open(filepath.Join(dir, "expected.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer expected.Close()
	used := map[string]bool{}
	for _, path := range files(t, dir) {
		f, err := gguf.Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		stem, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".gguf"), "-")
		for _, name := range f.Names() {
			got, _ := f.Tensor(name)
			for _, prefix := range []string{stem, strings.ToUpper(stem)} {
				if want, ok := expected.Tensor(prefix + "." + name); ok {
					used[want.Name] = true
					compare(t, path, got, want)
				}
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(used) == 0 {
		t.Fatal("nothing was compared")
	}
	for _, name := range expected.Names() {
		if !used[name] {
			t.Errorf("expected values %s belong to no file", name)
		}
	}
	t.Logf("%d tensors compared", len(used))
}

func compare(t *testing.T, path string, got, want *tensorfile.Tensor) {
	t.Helper()
	if fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
		t.Errorf("%s: %s has the shape %v, want %v", path, got.Name, got.Shape, want.Shape)
		return
	}
	a, err := got.Float32()
	if err != nil {
		t.Error(err)
		return
	}
	b, err := want.Float32()
	if err != nil {
		t.Error(err)
		return
	}
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("%s: %s (%s) differs at %d: %g, want %g", path, got.Name, got.DType, i, a[i], b[i])
			return
		}
	}
}

// TestGolden_metadata compares the metadata of the containers, as texts: JSON
// has 64-bit integers as strings.
func TestGolden_metadata(t *testing.T) {
	dir := golden.Path(t, "golden", "gguf")
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct {
		Containers map[string]string          `json:"containers"`
		Values     map[string]json.RawMessage `json:"metadata_values"`
	}
	if err := json.Unmarshal(text, &expected); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for file := range expected.Containers {
		f, err := gguf.Open(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
			continue
		}
		for key, raw := range expected.Values {
			got, ok := f.Value(key)
			if !ok && len(f.Names()) == 0 { // the empty container has none of them
				continue
			}
			checked++
			if !sameValue(got, raw) {
				t.Errorf("%s: %s is %v (%T), want %s", file, key, got, got, raw)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if checked == 0 {
		t.Fatal("nothing was compared")
	}
	t.Logf("%d values compared", checked)
}

func sameValue(got any, want json.RawMessage) bool {
	switch got := got.(type) {
	case uint64, int64:
		return string(want) == fmt.Sprintf("%q", fmt.Sprint(got))
	case float32:
		got64 := float64(got) // the golden value is the float32, written as a float64
		return sameJSON(got64, want)
	default:
		return sameJSON(got, want)
	}
}

func sameJSON(got any, want json.RawMessage) bool {
	text, err := json.Marshal(got)
	if err != nil {
		return false
	}
	var a, b any
	if json.Unmarshal(text, &a) != nil || json.Unmarshal(want, &b) != nil {
		return false
	}
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// open reads a case of either format, a file or a folder.
func open(path string) (tensorfile.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return safetensors.OpenDir(path)
	case filepath.Ext(path) == ".gguf":
		return gguf.Open(path)
	}
	return safetensors.Open(path)
}

// allocated returns how many bytes f takes from the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestGolden_malformed opens every file and folder of malformed/: what the list
// calls good must load, everything else there must be refused by name.
func TestGolden_malformed(t *testing.T) {
	dir := golden.Path(t, "golden", "gguf", "malformed")
	text, err := os.ReadFile(filepath.Join(dir, "malformed.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Good      []string `json:"good"`
		Malformed []struct{ Path, Wrong string }
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	good, wrong := map[string]bool{}, map[string]string{}
	for _, name := range list.Good {
		good[name] = true
	}
	for _, c := range list.Malformed {
		wrong[c.Path] = c.Wrong
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	refused, loaded := 0, 0
	for _, entry := range entries {
		name := entry.Name()
		if filepath.Ext(name) == ".json" {
			continue
		}
		var f tensorfile.File
		var err error
		// The files are small and claim up to 2^63 bytes.
		if n := allocated(func() { f, err = open(filepath.Join(dir, name)) }); n > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
		switch {
		case good[name]:
			loaded++
			if err != nil {
				t.Errorf("a good file: %v", err)
			}
		case err == nil:
			t.Errorf("%s loads, though it has a %s", name, wrong[name])
		default:
			refused++
			t.Logf("%s\n      %v", wrong[name], strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
			var format *tensorfile.FormatError
			if !errors.As(err, &format) || !strings.HasPrefix(format.File, filepath.Join(dir, name)) || format.Field == "" {
				t.Errorf("%s: the error names no file or field: %v", name, err)
			}
		}
		if err == nil {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if refused == 0 || loaded == 0 || refused < len(list.Malformed) {
		t.Errorf("%d refused of %d, %d good ones", refused, len(list.Malformed), loaded)
	}
}
