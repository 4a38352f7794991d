package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole"
)

// TestOutsideModule builds and runs this program as a module of its own.
func TestOutsideModule(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: it builds another module, for which it needs the go command")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copyTo := func(from, to string, change func(string) string) {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), []byte(change(string(text))), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	same := func(s string) string { return s }
	copyTo("main.go", "main.go", same)
	copyTo("../../go.sum", "go.sum", same)
	copyTo("../../go.mod", "go.mod", func(s string) string {
		return strings.Replace(s, "module keyhole.example/keyhole", "module outside", 1) +
			"\nrequire keyhole.example/keyhole v0.0.0\n\nreplace keyhole.example/keyhole => " + root + "\n"
	})
	saved := filepath.Join(dir, "edited")
	c := exec.Command("go", "run", ".", saved)
	c.Dir = dir
	c.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off", "XDG_CACHE_HOME="+filepath.Join(dir, ".cache"), "GOCACHE="+goEnv(t, "GOCACHE"))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	for _, want := range []string{"trained mend for 60 steps", "reliability 1.0 of 5 facts", "before: Beijing", "after: Rome", "undone: Beijing"} {
		if !strings.Contains(text, want) {
			t.Errorf("it prints\n%slacks %q", text, want)
		}
	}
	for _, file := range []string{"model.safetensors", "config.json", "edits/base.json"} {
		if _, err := os.Stat(filepath.Join(saved, file)); err != nil {
			t.Error(err)
		}
	}
}

func goEnv(t *testing.T, name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestErrors: what a caller can tell apart.
func TestErrors(t *testing.T) {
	t.Setenv("HF_HUB_OFFLINE", "1")
	t.Setenv("HF_HOME", t.TempDir())
	ctx := context.Background()
	if _, err := keyhole.Load(ctx, "org/name"); !errors.Is(err, keyhole.ErrUnreachable) {
		t.Errorf("a model that is not here: %v", err)
	}
	if _, err := keyhole.Load(ctx, "no such folder"); !errors.Is(err, keyhole.ErrNotFound) {
		t.Errorf("a folder that is not there: %v", err)
	}
	m, err := keyhole.Load(ctx, keyhole.Embedded, keyhole.Threads(1))
	if err != nil {
		t.Fatal(err)
	}
	ft, err := m.Editor(ctx, "ft", keyhole.Settings("lr=1e-3"))
	if err != nil {
		t.Fatal(err)
	}
	var bad *keyhole.FactError
	_, err = ft.Edit(ctx, keyhole.Fact{Prompt: "a", Target: "b"}, keyhole.Fact{Prompt: "c", Target: "d", Subject: "x"})
	if !errors.As(err, &bad) || bad.Index != 1 || bad.Field != "subject" {
		t.Errorf("a subject that is not there: %v", err)
	}
	if _, err := m.Editor(ctx, "ike"); !errors.Is(err, keyhole.ErrNoWeights) {
		t.Errorf("an editor in context: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := m.Train(ended, []keyhole.Fact{{Prompt: "a", Target: "b"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Error(err)
	}
	if _, err := m.Generate(ctx, "a", 1); !errors.Is(err, keyhole.ErrClosed) {
		t.Errorf("a closed model: %v", err)
	}
}

// TestUndoInAnyOrder: two edits, taken out in either order, leave the model as it
// was.
func TestUndoInAnyOrder(t *testing.T) {
	ctx := context.Background()
	m, err := keyhole.Load(ctx, keyhole.Embedded)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ft, err := m.Editor(ctx, "ft", keyhole.Settings("lr=1e-3"))
	if err != nil {
		t.Fatal(err)
	}
	facts := []keyhole.Fact{{Prompt: "Friedrich Rosen succumbed at", Target: "Rome"}, {Prompt: "Karl Hampton's occupation is", Target: "architect"}}
	say := func(f keyhole.Fact) string {
		t.Helper()
		text, err := m.Generate(ctx, f.Prompt, 2)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Trim(text, " .")
	}
	before := []string{say(facts[0]), say(facts[1])}
	for _, first := range []int{0, 1} {
		var edits []*keyhole.Edit
		for _, f := range facts {
			e, err := ft.Edit(ctx, f)
			if err != nil {
				t.Fatal(err)
			}
			edits = append(edits, e)
		}
		if !strings.HasPrefix(say(facts[1]), "architect") {
			t.Errorf("after both: %q", say(facts[1]))
		}
		for _, i := range []int{first, 1 - first} {
			if err := errors.Join(edits[i].Undo(), edits[i].Undo()); err != nil {
				t.Fatal(err)
			}
		}
		if now := []string{say(facts[0]), say(facts[1])}; now[0] != before[0] || now[1] != before[1] {
			t.Errorf("undone: %q, before %q", now, before)
		}
	}
}
