package lm

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/lm/tokenizer"
)

func saved(t testing.TB, m *Model, opts SaveOptions) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := m.Save(dir, opts); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestASavedModelComputesTheSame(t *testing.T) {
	eachTiny(t, func(t *testing.T, m *Model) {
		o := testOps(t)
		text := tinyTexts(m)[2]
		again := loadModel(t, saved(t, m, SaveOptions{}))
		if a, b := again.Config, m.Config; a.ModelType != b.ModelType || !reflect.DeepEqual(a.Rope, b.Rope) || a.Window != b.Window || a.Tied != b.Tied || a.Eps != b.Eps {
			t.Errorf("config %+v, want %+v", a, b)
		}
		for i, p := range again.Params() {
			sameFloats(t, p.Name, values(t, p), values(t, m.Params()[i]))
		}
		sameFloats(t, "logits", forwardStates(t, again, o, text).logits, forwardStates(t, m, o, text).logits)
	})
}

func TestSavingTwiceGivesTheSameBytesInEachType(t *testing.T) {
	for _, d := range []tensorfile.DType{tensorfile.F32, tensorfile.F16, tensorfile.BF16} {
		t.Run(d.String(), func(t *testing.T) {
			eachTiny(t, func(t *testing.T, m *Model) {
				first := saved(t, m, SaveOptions{DType: d})
				again := loadModel(t, first)
				second := saved(t, again, SaveOptions{DType: d})
				if a, b := content(t, first), content(t, second); !maps.Equal(a, b) {
					t.Errorf("other bytes: %v, %v", slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
				}
				h1, err1 := again.Hash()
				h2, err2 := loadModel(t, second).Hash()
				if err1 != nil || err2 != nil || h1 != h2 || len(h1) != 64 {
					t.Errorf("hashes %q, %q; %v, %v", h1, h2, err1, err2)
				}
			})
		})
	}
}

func content(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(data)
	}
	return out
}

func TestWhatTransformersNeedsIsInTheFolder(t *testing.T) {
	eachTiny(t, func(t *testing.T, m *Model) {
		dir := saved(t, m, SaveOptions{DType: tensorfile.BF16})
		var c map[string]any
		if err := json.Unmarshal([]byte(content(t, dir)[configName]), &c); err != nil {
			t.Fatal(err)
		}
		classes, _ := c["architectures"].([]any)
		if c["model_type"] != m.Config.ModelType || len(classes) != 1 || classes[0] != m.Architecture() || c["torch_dtype"] != "bfloat16" {
			t.Errorf("config.json: %v", c)
		}
		f, err := safetensors.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Metadata()["format"] != "pt" {
			t.Errorf("metadata %v", f.Metadata())
		}
	})
}

func TestKeysOfTheOriginalConfigAreKept(t *testing.T) {
	config := strings.Replace(tinyConfigs()["gpt2"], "{", `{"resid_pdrop": 0.25, "dtype": "float64", `, 1)
	dir := saved(t, tinyModel(t, tinyConfigs()["gpt2"]), SaveOptions{})
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, generationName), []byte(`{"temperature": 0.5}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got := content(t, saved(t, loadModel(t, dir), SaveOptions{DType: tensorfile.F16}))
	if !strings.Contains(got[configName], `"resid_pdrop": 0.25`) || !strings.Contains(got[configName], `"torch_dtype": "float16"`) || strings.Contains(got[configName], "float64") {
		t.Error(got[configName])
	}
	if got[generationName] != `{"temperature": 0.5}` {
		t.Error(got[generationName])
	}
}

func TestOverridesStandInForWeights(t *testing.T) {
	m := tinyModel(t, tinyConfigs()["gpt2"])
	name := m.Sites()[2].Name
	p, _ := m.Param(name)
	changed := slices.Clone(values(t, p))
	changed[5] = 7
	again := loadModel(t, saved(t, m, SaveOptions{Overrides: map[string][]float32{name: changed}}))
	q, _ := again.Param(name)
	sameFloats(t, name, values(t, q), changed)
	if values(t, p)[5] == 7 {
		t.Error("the model itself was changed")
	}
}

func TestSaveRefuses(t *testing.T) {
	m := tinyModel(t, tinyConfigs()["llama"])
	p := m.Params()[0]
	with := func(v float32) map[string][]float32 {
		changed := slices.Clone(values(t, p))
		changed[3] = v
		return map[string][]float32{p.Name: changed}
	}
	cases := []struct {
		name string
		opts SaveOptions
		want string
	}{
		{"NaN", SaveOptions{Overrides: with(float32(math.NaN()))}, "element 3 is NaN"},
		{"infinity", SaveOptions{Overrides: with(float32(math.Inf(1)))}, "element 3 is +Inf"},
		{"a value beyond F16", SaveOptions{DType: tensorfile.F16, Overrides: with(70000)}, "too large for F16"},
		{"another type", SaveOptions{DType: tensorfile.Q8_0}, "not as Q8_0"},
		{"an unknown weight", SaveOptions{Overrides: map[string][]float32{"model.norm.weigth": nil}}, `did you mean "model.norm.weight"?`},
		{"a wrong size", SaveOptions{Overrides: map[string][]float32{"model.norm.weight": {1}}}, "1 values for shape"},
	}
	for _, c := range cases {
		dir := filepath.Join(t.TempDir(), "model")
		err := m.Save(dir, c.opts)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
		if entries, _ := os.ReadDir(filepath.Dir(dir)); len(entries) > 0 {
			t.Errorf("%s: something was left behind: %v", c.name, entries)
		}
	}
	values(t, p)[1] = float32(math.NaN())
	if err := m.Save(filepath.Join(t.TempDir(), "model"), SaveOptions{}); !errors.Is(err, ErrNotFinite) {
		t.Errorf("NaN in the model: %v", err)
	}
}

func TestSaveKeepsWhatIsThere(t *testing.T) {
	m := tinyModel(t, tinyConfigs()["llama"])
	dir := saved(t, m, SaveOptions{})
	if err := m.Save(dir, SaveOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a folder that is not empty: %v", err)
	}
	if err := m.Save(dir, SaveOptions{Overwrite: true, DType: tensorfile.BF16}); err != nil {
		t.Error(err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Save(other, SaveOptions{Overwrite: true}); err == nil || !strings.Contains(err.Error(), "may hold something else") {
		t.Errorf("a folder that is no model: %v", err)
	}
}

func TestTokenizerFilesAreSavedAndTheirSizeIsChecked(t *testing.T) {
	c, err := ParseConfig([]byte(strings.Replace(tinyConfigs()["gpt2"], `"vocab_size": 23`, `"vocab_size": 300`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	m := tinyModel(t, strings.Replace(tinyConfigs()["gpt2"], `"vocab_size": 23`, `"vocab_size": 300`, 1))
	if m.Tokenizer, err = tokenizer.Train([]string{"the cat sat on the mat", "the rat ate the cat"}, c.Vocab, []string{"<|endoftext|>"}); err != nil {
		t.Fatal(err)
	}
	dir := saved(t, m, SaveOptions{})
	again := loadModel(t, dir)
	if again.Tokenizer == nil || !slices.Equal(again.Tokenizer.Encode("the cat"), m.Tokenizer.Encode("the cat")) {
		t.Error("the tokenizer did not come back")
	}
	small := tinyModel(t, tinyConfigs()["gpt2"])
	small.Tokenizer = m.Tokenizer
	dir = saved(t, small, SaveOptions{})
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "a tokenizer that does not fit the model") {
		t.Errorf("a tokenizer larger than the embedding: %v", err)
	}
}

// TestSave_spells_configs_for_every_version wants the rotary base, its scaling
// and the element type under the names of transformers 4 and 5, whichever the
// model was read with.
func TestSave_spells_configs_for_every_version(t *testing.T) {
	for name, c := range map[string]struct{ model, from, to string }{
		"the earlier": {"llama", `"tie_word_embeddings"`, `"rope_theta": 500000.0, "rope_scaling": {"type": "linear", "factor": 2.0}, "torch_dtype": "float16", "tie_word_embeddings"`},
		"the later":   {"llama", `"tie_word_embeddings"`, `"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500000.0}, "dtype": "float16", "tie_word_embeddings"`},
	} {
		text := strings.Replace(tinyConfigs()[c.model], c.from, c.to, 1)
		dir := saved(t, tinyModel(t, text), SaveOptions{})
		if err := os.WriteFile(filepath.Join(dir, configName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m := loadModel(t, dir) // keeps the settings as they were
		var got struct {
			Theta   float64 `json:"rope_theta"`
			Scaling struct {
				Type   string
				Factor float64
			} `json:"rope_scaling"`
			Later struct {
				Type   string  `json:"rope_type"`
				Theta  float64 `json:"rope_theta"`
				Factor float64
			} `json:"rope_parameters"`
			Torch string `json:"torch_dtype"`
			DType string
		}
		if err := json.Unmarshal([]byte(content(t, saved(t, m, SaveOptions{DType: tensorfile.BF16}))[configName]), &got); err != nil {
			t.Fatal(err)
		}
		if got.Theta != 500000 || got.Scaling.Type != "linear" || got.Scaling.Factor != 2 ||
			got.Later.Type != "linear" || got.Later.Theta != 500000 || got.Later.Factor != 2 ||
			got.Torch != "bfloat16" || got.DType != "bfloat16" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
