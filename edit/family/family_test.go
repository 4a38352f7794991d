package family_test

import (
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
