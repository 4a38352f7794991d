package family_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/lm"
)

func TestTheEmbeddedModelIsRecognised(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	m, err := embedded.Model()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	f, err := family.Of(m)
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "embedded" || len(f.Editors()) == 0 {
		t.Errorf("family %q with editors %v", f.Name, f.Editors())
	}
	s, ok, err := f.Setting("ft")
	if err != nil || !ok || s.File != "edit/family/embedded.yaml" || s.From == "" || len(s.Text) == 0 {
		t.Errorf("setting of ft %+v, %v, error %v", s, ok, err)
	}
	if _, ok, err := f.Setting("nosuch"); ok || err != nil {
		t.Errorf("a setting of an editor that is not there: %v, %v", ok, err)
	}
}

// Prompts for drift are short texts, each once, none about what another family's
// prompts are about.
func TestPromptsOfDrift(t *testing.T) {
	other := &lm.Model{Config: lm.Config{ModelType: "gpt2", Layers: 12, Width: 768, Vocab: 50257}}
	for _, m := range []*lm.Model{nil, other} {
		f, err := family.Of(m)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name != "general" || f.PromptsFrom == "" || len(f.Prompts) < 30 {
			t.Errorf("family %q, %d prompts from %q", f.Name, len(f.Prompts), f.PromptsFrom)
		}
		seen := map[string]bool{}
		for _, p := range f.Prompts {
			if seen[p] || strings.TrimSpace(p) != p || len(strings.Fields(p)) < 2 || strings.Contains(p, "\n") {
				t.Errorf("prompt %q", p)
			}
			seen[p] = true
		}
	}
}

// TestAUsersFileGoesBeforeTheShippedOne writes what was traced, and finds it.
func TestAUsersFileGoesBeforeTheShippedOne(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("HOME", home) // where other systems look
	m := &lm.Model{Config: lm.Config{ModelType: "gpt2", Layers: 48, Width: 1600, Vocab: 50257}}
	f, err := family.Of(m)
	if err != nil || f.Name != "gpt2-xl" {
		t.Fatalf("family %v, %v", f, err)
	}
	path := filepath.Join(family.UserFolder(), "mine.yaml") // in a folder that is not there yet
	write := func() error {
		return family.Write(path, m, 3, `traced: "a" over 7 facts`, &family.Places{From: "tried", Sites: []string{"mlp.down@2", "mlp.down@3"}, Rows: "answer"})
	}
	if err := errors.Join(family.Free(path), write()); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{family.Free(path), write()} {
		if err == nil || !strings.Contains(err.Error(), path+" is there already") {
			t.Errorf("a second file of that name: %v", err)
		}
	}
	if f, err = family.Of(m); err != nil || f.Name != "mine" {
		t.Fatalf("family %+v, %v", f, err)
	}
	for editor, want := range map[string]string{"rome": "{layer: 3}", "memit": "{layers: [0, 1, 2, 3]}"} {
		s, ok, err := f.Setting(editor)
		if err != nil || !ok || s.File != path || strings.TrimSpace(string(s.Text)) != want || s.From != `traced: "a" over 7 facts` {
			t.Errorf("%s: %+v, %v, %v", editor, s, ok, err)
		}
	}
	if other, err := family.Of(&lm.Model{Config: lm.Config{ModelType: "gpt2", Layers: 47, Width: 1600, Vocab: 50257}}); err != nil || other.Name != "general" {
		t.Errorf("family %+v, %v of another shape", other, err)
	}
	for _, bad := range []string{"editors: {}", "match: {model_type: gpt2}\neditors: {rome: {config: {layer: 1}}}", "match: {kind: gpt2}"} {
		if err := os.WriteFile(path, []byte(bad), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := family.Of(m); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
