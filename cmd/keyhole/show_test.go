package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
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

func TestDoctorTakesTenLines(t *testing.T) {
	d := &diagnosis{CPU: "a processor", BLAS: "products", Features: []string{"AVX2"}, Products: []productSpeed{{What: "one token"}}, OpenBLAS: "not used"}
	for range 12 {
		var short, long bytes.Buffer
		if err := d.print(&short, false); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(short.String(), "\n"); n > 10 {
			t.Errorf("%d lines with %d pieces of advice:\n%s", n, len(d.Advice), short.String())
		}
		if err := d.print(&long, true); err != nil {
			t.Fatal(err)
		}
		for _, want := range append([]string{"OpenBLAS: not used", "AVX2", "one token"}, d.Advice...) {
			if !strings.Contains(long.String(), want) {
				t.Errorf("-v lacks %q", want)
			}
		}
		d.Advice = append(d.Advice, strings.Repeat("do this ", len(d.Advice)+1))
	}
}

func TestRunsHaveTheShortestNamesThatTellThemApart(t *testing.T) {
	paths := []string{"runs/a", "runs/b/", "other/a", "a"}
	for i, want := range []string{"runs/a", "b", "other/a", "a"} {
		if got := shortName(paths, i); got != want {
			t.Errorf("%s is called %q, want %q", paths[i], got, want)
		}
	}
}
