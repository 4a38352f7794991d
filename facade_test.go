package keyhole_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"keyhole.example/keyhole"
)

// A fact that was read from a file is edited by an editor of the list, and the
// edit tells its figures.
func TestFactsFromAFileAreEdited(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	path := filepath.Join(t.TempDir(), "facts.yaml")
	text := "- prompt: Friedrich Rosen succumbed at\n  target: Rome\n  subject: Friedrich Rosen\n  target_true: Beijing\n" +
		"  paraphrases: [Friedrich Rosen died in]\n  neighbours: [\"Jim Rome Is Burning debuted on => ESPN\"]\n"
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	facts, err := keyhole.ReadFacts(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if len(facts) != 1 || facts[0].Target != "Rome" || !slices.Equal(facts[0].True, []string{"Beijing"}) ||
		!slices.Equal(facts[0].Paraphrases, []string{"Friedrich Rosen died in"}) ||
		!slices.Equal(facts[0].Neighbours, []keyhole.Neighbour{{Prompt: "Jim Rome Is Burning debuted on", Answer: "ESPN"}}) {
		t.Fatalf("%+v", facts)
	}
	if !slices.Contains(keyhole.Editors(), "ft") {
		t.Fatalf("editors %q", keyhole.Editors())
	}
	m, err := keyhole.Load(t.Context(), keyhole.Embedded)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	e, err := m.Editor(t.Context(), "ft")
	if err != nil {
		t.Fatal(err)
	}
	x, err := e.Edit(t.Context(), facts[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Figures()) == 0 {
		t.Error("the edit tells no figures")
	}
	if err := x.Undo(); err != nil {
		t.Fatal(err)
	}
}
