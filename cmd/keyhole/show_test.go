package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHintsAreAsTheProgramWasCalled(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"keyhole", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	for called, want := range map[string]string{
		"keyhole":                          "go on with: keyhole resume runs/a",
		filepath.Join(dir, "keyhole"):      "go on with: keyhole resume runs/a",
		filepath.Join(dir, "other"):        "go on with: " + filepath.Join(dir, "other") + " resume runs/a",
		"./my keyhole":                     `go on with: "./my keyhole" resume runs/a`,
		"/tmp/go-build12/b001/exe/keyhole": "go on with: go run ./cmd/keyhole resume runs/a",
	} {
		edit := asCalled(commands(&options{}), called)
		if got := string(edit([]byte("go on with: keyhole resume runs/a"))); got != want {
			t.Errorf("%s: %q, want %q", called, got, want)
		}
		if text := "a keyhole in the door"; string(edit([]byte(text))) != text {
			t.Errorf("%s: a text without a command became %q", called, edit([]byte(text)))
		}
	}
}
