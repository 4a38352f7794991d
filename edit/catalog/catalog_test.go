package catalog_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// tiny are overrides that suit the models of edittest, whose fresh weights hand
// little on from token to token, by editor.
func tiny() map[string][]string {
	keyvalue := []string{"fact_token=last", "edit_known=true", "max_update_ratio=100", "max_perplexity_ratio=100", "contexts.count=2"}
	return map[string][]string{
		"rome":      append([]string{"layer=1", "contexts.lengths=[3,5]"}, keyvalue...),
		"alphaedit": append([]string{"layers=[1,2]", "L2=0.1", "nullspace_share=0.6", "clamp_norm_factor=4", "contexts.lengths=[4]"}, keyvalue...),
		"grace":     {"layer=mlp.down@1", "n_iter=20", "edit_lr=0.5"},
		"wise":      {"layer=mlp.down@1", "n_iter=8", "edit_lr=0.3", "alpha=0.1", "beta=0.5", "gamma=0.2", "act_ratio=0.5", "contexts.count=1", "contexts.lengths=[3]"},
		"gated":     {"contexts=0", "token=last", "rome.layer=1", "rome.contexts.lengths=[3,5]", "rome.fact_token=last", "rome.edit_known=true", "rome.max_update_ratio=100", "rome.max_perplexity_ratio=100", "rome.contexts.count=2"},
		"nearest":   {"rome.layer=1", "rome.contexts.lengths=[3,5]", "rome.fact_token=last", "rome.edit_known=true", "rome.max_update_ratio=100", "rome.max_perplexity_ratio=100", "rome.contexts.count=2"},
		"memit":     append([]string{"layers=[0,1,2]", "mom2_update_weight=10", "clamp_norm_factor=4", "contexts.lengths=[4]"}, keyvalue...),
	}
}

// ingredients are those of a model with what edittest has.
func ingredients(t *testing.T, m *lm.Model, k *kernel.Engine) catalog.Ingredients {
	return catalog.Ingredients{
		Model: m, Engine: k,
		Moments: func(context.Context) (stats.Source, string, error) { return edittest.Moments(t, k), "words", nil },
		Demos:   func() (*data.Set, error) { return &data.Set{Name: "facts", Edits: edittest.Facts()}, nil },
	}
}

func TestEveryEntryPassesTheSuite(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		m := edittest.TinyModel(t, arch)
		for _, e := range catalog.Entries() {
			if e.Name == catalog.None {
				continue // it makes no edit
			}
			t.Run(arch+"/"+e.Name, func(t *testing.T) {
				edittest.Run(t, m, func(k *kernel.Engine) (edit.Editor, error) {
					config, _, err := e.Config(m, tiny()[e.Name])
					if err != nil {
						return nil, err
					}
					b, err := e.Build(t.Context(), ingredients(t, m, k), config)
					if err != nil {
						return nil, err
					}
					t.Cleanup(func() {
						if err := b.Close(); err != nil {
							t.Error(err)
						}
					})
					if b.Editor.Name() != e.Name {
						t.Errorf("the entry %s makes an editor that calls itself %s", e.Name, b.Editor.Name())
					}
					return b.Editor, nil
				}, edittest.Options{Subject: e.Subject, Single: e.Name == "rome"})
			})
		}
	}
}

// What is said of an editor holds: its name can be typed, it has a line about
// itself, and its configuration has a hash that an override changes.
func TestEntriesAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range catalog.Entries() {
		if e.Name == "" || strings.ContainsAny(e.Name, " /,=") || seen[e.Name] {
			t.Errorf("name %q is empty, no word, or there twice", e.Name)
		}
		seen[e.Name] = true
		if e.About == "" || strings.Contains(e.About, "\n") {
			t.Errorf("%s: about %q is no line", e.Name, e.About)
		}
		if slices.Contains(catalog.InContext(), e.Name) != e.InContext {
			t.Errorf("%s: InContext is %v, the list says otherwise", e.Name, e.InContext)
		}
		if slices.Contains(catalog.Trained(), e.Name) {
			t.Errorf("%s needs training and none", e.Name)
		}
	}
	a, b := hash(t, "ft", "steps=3"), hash(t, "ft", "steps=4")
	if a == "" || a == b {
		t.Errorf("hashes %q and %q of two configurations", a, b)
	}
}

func hash(t *testing.T, name string, set ...string) string {
	t.Helper()
	e, err := catalog.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	config, _, err := e.Config(nil, set)
	if err != nil {
		t.Fatal(err)
	}
	h, err := catalog.Made{Editor: name, Config: config}.Hash()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestUnknownNamesSayWhatThereIs(t *testing.T) {
	for name, want := range map[string]string{"nosuch": "it is one of none, rome, memit, alphaedit, grace, nearest, gated, wise, ft", "mend": "has to be trained"} {
		_, err := catalog.Find(name)
		var unknown *catalog.NameError
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
	none, err := catalog.Find(catalog.None)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := none.Config(nil, []string{"a=1"}); err == nil {
		t.Error("an override of an editor without configuration is taken")
	}
	ft, err := catalog.Find("ft")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ft.Config(nil, []string{"a=1"}); err == nil {
		t.Error("an unknown key is taken")
	}
}

// A results file of an earlier version names its editor by this hash.
func TestHashesStay(t *testing.T) {
	made := catalog.Made{Editor: "ft", Config: struct{ A int }{1}, Corpus: "c"}
	const want = "903584a54d354cb07ca8692d8298219f"
	got, err := made.Hash()
	if err != nil || !strings.HasPrefix(got, want) {
		t.Errorf("hash %s, error %v; want %s…", got, err, want)
	}
	if got, err := (catalog.Made{}).Hash(); got != "" || err != nil {
		t.Errorf("hash %q, error %v of a trained editor; want none", got, err)
	}
}

// publishedLayers are the blocks that a family's setting names.
func publishedLayers(t *testing.T, f *family.Family, editor string) []int {
	t.Helper()
	s, _, err := f.Setting(editor)
	if err != nil {
		t.Fatal(err)
	}
	var keys struct {
		Layer  int      `yaml:"layer"`
		Layers []int    `yaml:"layers"`
		Sites  []string `yaml:"sites"`
	}
	if err := yaml.Unmarshal(s.Text, &keys); err != nil {
		t.Fatal(err)
	}
	out := append(keys.Layers, keys.Layer)
	for _, site := range keys.Sites {
		_, block, _ := strings.Cut(site, "@")
		n, err := strconv.Atoi(block)
		if err != nil {
			t.Errorf("site %q names no block", site)
		}
		out = append(out, n)
	}
	return out
}

// Every setting of a family is one that its editor has.
func TestSettingsOfFamiliesAreTaken(t *testing.T) {
	models := map[string]lm.Config{
		"embedded":     {ModelType: "gpt2", Layers: 6, Width: 128, Vocab: 2048},
		"general":      {ModelType: "gpt2", Layers: 12, Width: 768, Vocab: 50257},
		"gpt2-medium":  {ModelType: "gpt2", Layers: 24, Width: 1024, Vocab: 50257},
		"gpt2-large":   {ModelType: "gpt2", Layers: 36, Width: 1280, Vocab: 50257},
		"gpt2-xl":      {ModelType: "gpt2", Layers: 48, Width: 1600, Vocab: 50257},
		"gpt-j-6b":     {ModelType: "gptj", Layers: 28, Width: 4096, Vocab: 50400},
		"gpt-neox-20b": {ModelType: "gpt_neox", Layers: 44, Width: 6144, Vocab: 50432},
		"llama-7b":     {ModelType: "llama", Layers: 32, Width: 4096, Vocab: 32000},
		"llama-3-8b":   {ModelType: "llama", Layers: 32, Width: 4096, Vocab: 128256},
		"llama-3.2-1b": {ModelType: "llama", Layers: 16, Width: 2048, Vocab: 128256},
		"llama-3.2-3b": {ModelType: "llama", Layers: 28, Width: 3072, Vocab: 128256},
		"mistral-7b":   {ModelType: "mistral", Layers: 32, Width: 4096, Vocab: 32768},
		"qwen2-7b":     {ModelType: "qwen2", Layers: 28, Width: 3584, Vocab: 152064},
		"smollm2-135m": {ModelType: "llama", Layers: 30, Width: 576, Vocab: 49152},
	}
	names, err := family.Names()
	if err != nil || len(names) != len(models) {
		t.Errorf("families %v, error %v: each needs a model here", names, err)
	}
	for want, config := range models {
		m := &lm.Model{Config: config}
		f, err := family.Of(m)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name != want {
			t.Errorf("family %s, want %s", f.Name, want)
		}
		for _, name := range f.Editors() {
			e, err := catalog.Find(name)
			if err != nil {
				t.Error(err)
				continue
			}
			if _, _, err := e.Config(m, nil); err != nil {
				t.Errorf("%s: %s: %v", want, name, err)
			}
			for _, layer := range publishedLayers(t, f, name) {
				if layer >= config.Layers {
					t.Errorf("%s: %s: block %d of %d", want, name, layer, config.Layers)
				}
			}
		}
	}
	m := &lm.Model{Config: models["embedded"]}
	ft, err := catalog.Find("ft")
	if err != nil {
		t.Fatal(err)
	}
	_, r, err := ft.Config(m, []string{"steps=3"})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.Values() {
		from := v.Origin.String()
		if v.Key == "lr" && !strings.HasPrefix(from, "edit/family/embedded.yaml:") || v.Key == "steps" && from != "--set" || v.Key == "seed" && from != "default" {
			t.Errorf("%s comes from %q", v.Key, from)
		}
	}
}
