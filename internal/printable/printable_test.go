package printable_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"keyhole.example/keyhole/internal/printable"
)

// written is what a writer makes of pieces.
func written(t testing.TB, asJSON bool, pieces ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := printable.New(f)
	if asJSON {
		w.JSON()
	}
	for _, p := range pieces {
		if n, err := w.Write(p); err != nil || n != len(p) {
			t.Fatalf("%d of %d bytes: %v", n, len(p), err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestControlCharactersAreShown(t *testing.T) {
	for text, want := range map[string]string{
		"a\tb\nc é 中 😀 \u200fא":   "a\tb\nc é 中 😀 \u200fא",
		"\x1b[2J\x1b]0;title\x07": `\x1b[2J\x1b]0;title\x07`,
		"\u009b31m\u0085":         `\u009b31m\u0085`,
		"x\u202egnp.exe\u2066":    `x\u202egnp.exe\u2066`,
		"over\rwrite\b\x7f\x00":   `over\x0dwrite\x08\x7f\x00`,
		"\x9b31m \xff":            `\x9b31m \xff`,
		"cut \xe2\x80":            `cut \xe2\x80`,
	} {
		for cut := range len(text) {
			if got := written(t, false, []byte(text[:cut]), []byte(text[cut:])); got != want {
				t.Errorf("%q cut at %d: %q, want %q", text, cut, got, want)
			}
		}
		if got := printable.Escape(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzJSONReadsBackTheSame(f *testing.F) {
	f.Add("a\u202e\u009b\x7f\u2028\x1b", 3)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if !utf8.ValidString(text) {
			return
		}
		raw, err := json.Marshal(map[string]string{"a": text})
		if err != nil {
			t.Fatal(err)
		}
		cut = max(0, min(cut, len(raw)))
		out := written(t, true, raw[:cut], raw[cut:])
		if printable.Escape(out) != out {
			t.Errorf("%q has control characters", out)
		}
		var back map[string]string
		if err := json.Unmarshal([]byte(out), &back); err != nil || back["a"] != text {
			t.Errorf("%q came back as %q: %v", text, back["a"], err)
		}
	})
}
