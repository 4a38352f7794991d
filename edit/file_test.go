package edit_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn"
)

// sampleEdit changes a weight by factors and another by new values.
func sampleEdit(t *testing.T, m *lm.Model) *edit.Edited {
	t.Helper()
	sites, err := m.FindSites([]string{"mlp.down@1", "mlp.up@1"})
	if err != nil {
		t.Fatal(err)
	}
	down, up := sites[0], sites[1]
	u, d := make([]float32, 3*(down.Linear.In+2)), make([]float32, 3*down.Linear.Out)
	for i := range u {
		u[i] = float32(i%7) / 64
	}
	for i := range d {
		d[i] = float32(i%5) / 32
	}
	strided := kernel.Matrix{Rows: 3, Cols: down.Linear.In, Stride: down.Linear.In + 2, Data: u}
	values := make([]float32, up.Linear.W.Len())
	for i := range values {
		values[i] = float32(i%11) / 16
	}
	return &edit.Edited{
		Editor:   "mend",
		Requests: []edit.Request{{ID: "1", Prompt: "a ≠ b\n", Subject: "a", Target: "c", True: "d"}},
		Changes: []edit.Change{
			{Weight: down.Name, Delta: &nn.Delta{U: strided, D: kernel.Mat(d, 3, down.Linear.Out), Scale: 0.25}},
			{Weight: up.Name, Values: values},
		},
		Report: []edit.Figure{{Name: "rank", Value: 3.0}, {Name: "kind", Value: "sample"}},
	}
}

func write(t *testing.T, name string, e *edit.Edited, hash string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := edit.WriteFile(path, e, hash); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) *edit.Kept {
	t.Helper()
	k, err := edit.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// weights are copies of all weights with the edit installed.
func weights(t *testing.T, m *lm.Model, e *edit.Edited) map[string][]float32 {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	undo, err := e.Install(m, k)
	if err != nil {
		t.Fatal(err)
	}
	defer undo()
	out := map[string][]float32{}
	for _, p := range m.Params() {
		v, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		out[p.Name] = append([]float32(nil), v...)
	}
	return out
}

func TestAnEditFileGivesTheBytesOfTheEdit(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		m := edittest.TinyModel(t, arch)
		e := sampleEdit(t, m)
		path := write(t, "a.safetensors", e, "hash")
		k := read(t, path)
		if k.Model != "hash" || k.Edited.Editor != "mend" || !reflect.DeepEqual(k.Edited.Requests, e.Requests) || !reflect.DeepEqual(k.Edited.Report, e.Report) {
			t.Errorf("%s: read %+v of %+v", arch, k.Edited, e)
		}
		if !reflect.DeepEqual(weights(t, m, k.Edited), weights(t, m, e)) {
			t.Errorf("%s: the edit that was read changes other bytes than the one that was written", arch)
		}
		again, err := os.ReadFile(write(t, "b.safetensors", k.Edited, "hash"))
		if err != nil {
			t.Fatal(err)
		}
		if first, err := os.ReadFile(path); err != nil || string(first) != string(again) {
			t.Errorf("%s: written again, the file differs (%v)", arch, err)
		}
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	path := write(t, "a.safetensors", sampleEdit(t, m), "hash")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"cut":            func(b []byte) []byte { return b[:len(b)/2] },
		"empty":          func([]byte) []byte { return nil },
		"no change":      func(b []byte) []byte { return replace(b, `low_rank`, `low_rink`) },
		"later format":   func(b []byte) []byte { return replace(b, `\"format\":1`, `\"format\":7`) },
		"missing factor": func(b []byte) []byte { return replace(b, `weight.u"`, `weight.x"`) },
		"no number":      func(b []byte) []byte { copy(b[len(b)-4:], "\x00\x00\xc0\x7f"); return b },
	} {
		bad := filepath.Join(t.TempDir(), "bad.safetensors")
		if err := os.WriteFile(bad, damage(append([]byte(nil), whole...)), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := edit.ReadFile(bad); err == nil {
			t.Errorf("%s: it was read", name)
		} else if !strings.Contains(err.Error(), "bad.safetensors") {
			t.Errorf("%s: %v does not name the file", name, err)
		}
	}
	other := filepath.Join(t.TempDir(), "other.safetensors")
	if err := safetensors.Write(other, []safetensors.Entry{safetensors.Floats("x", []int{1}, []float32{1}, tensorfile.F32)}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := edit.ReadFile(other); !errors.Is(err, edit.ErrNoEdit) {
		t.Errorf("%v does not say that the file is no edit", err)
	}
}

func replace(b []byte, old, new string) []byte {
	return []byte(strings.Replace(string(b), old, new, 1))
}

func TestEditsInContextHaveNoFile(t *testing.T) {
	e := &edit.Edited{Editor: "ike", Context: func(string) (string, error) { return "", nil }}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := edit.WriteFile(path, e, "hash"); err == nil || !strings.Contains(err.Error(), "edit store") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written")
	}
}

func TestComposedEditsAreThoseInOrder(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	whole := sampleEdit(t, m)
	low := &edit.Kept{Path: "low", Model: "h", Edited: &edit.Edited{Editor: "a", Changes: whole.Changes[:1]}}
	values := &edit.Kept{Path: "values", Model: "h", Edited: &edit.Edited{Editor: "b", Changes: whole.Changes[1:]}}
	both, err := edit.Compose(low, values, low)
	if err != nil {
		t.Fatal(err)
	}
	if both.Editor != "a+b" || len(both.Changes) != 3 {
		t.Errorf("editor %s with %d changes", both.Editor, len(both.Changes))
	}
	twice := weights(t, m, both)
	once := weights(t, m, whole)
	base := weights(t, m, &edit.Edited{})
	name := whole.Changes[0].Weight
	for i := range base[name] {
		if d := (twice[name][i] - base[name][i]) - 2*(once[name][i]-base[name][i]); d > 1e-5 || d < -1e-5 {
			t.Fatalf("element %d: two additions are %v, not twice %v", i, twice[name][i]-base[name][i], once[name][i]-base[name][i])
		}
	}
	for _, bad := range [][]*edit.Kept{
		nil,
		{low, {Path: "other", Model: "i", Edited: low.Edited}},
		{values, {Path: "again", Model: "h", Edited: values.Edited}},
	} {
		if _, err := edit.Compose(bad...); err == nil {
			t.Errorf("%d edits that do not go together were composed", len(bad))
		}
	}
}

func TestListPassesOverOtherFiles(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	dir := t.TempDir()
	for _, name := range []string{"b.safetensors", "a.safetensors"} {
		if err := edit.WriteFile(filepath.Join(dir, name), sampleEdit(t, m), "h"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	list, err := edit.ListFiles(dir)
	if err != nil || len(list) != 2 || filepath.Base(list[0].Path) != "a.safetensors" {
		t.Errorf("listed %v, %v", list, err)
	}
	if _, err := edit.ListFiles(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a folder that is not there was listed")
	}
}
