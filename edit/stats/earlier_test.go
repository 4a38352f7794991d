package stats

import (
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm/safetensors"
)

// TestAFileWithoutASumIsReadWithANote writes one as versions before sums did.
func TestAFileWithoutASumIsReadWithANote(t *testing.T) {
	m := &Moment{Info: Info{Model: strings.Repeat("a", 64), Site: "w", Corpus: strings.Repeat("b", 64), Width: 2, Tokens: 3, Texts: 1, Budget: 3, Context: 8}, Sum: []float64{2, 1, 0, 2}}
	dir := t.TempDir()
	for name, write := range map[string]func(path string) error{
		"sealed": m.Save,
		"without": func(path string) error {
			return safetensors.Write(path, []safetensors.Entry{m.entry("sum")}, m.metadata(format))
		},
	} {
		path := filepath.Join(dir, name+ending)
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		have, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if noted := strings.Contains(have.Note, path); noted != (name == "without") {
			t.Errorf("%s: note %q", name, have.Note)
		}
	}
}
