package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// writeFolder makes a folder of files.
func writeFolder(t testing.TB, files map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		data, raw := content.([]byte)
		if !raw {
			var err error
			if data, err = json.Marshal(content); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestGoldenClasses compares what is put around a text with what transformers
// puts there, by class, settings and template.
func TestGoldenClasses(t *testing.T) {
	data, err := os.ReadFile("testdata/classes.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Tokenizer map[string]any
		Template  any
		Texts     []string
		Cases     []struct {
			Config    map[string]any
			ModelType string `json:"model_type"`
			Template  bool
			IDs       [][]int32
		}
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Cases) < 100 {
		t.Fatalf("%d cases", len(g.Cases))
	}
	for _, c := range g.Cases {
		g.Tokenizer["post_processor"] = nil
		if c.Template {
			g.Tokenizer["post_processor"] = g.Template
		}
		files := map[string]any{fileJSON: g.Tokenizer, fileConfig: c.Config}
		if c.ModelType != "" {
			files[fileModel] = map[string]string{"model_type": c.ModelType}
		}
		tok := loadDir(t, writeFolder(t, files))
		for i, text := range g.Texts {
			if got := tok.EncodeSpecial(text); !slices.Equal(got, c.IDs[i]) {
				t.Errorf("%v %s, template %t: EncodeSpecial(%q)\n got %v\nwant %v", c.Config, c.ModelType, c.Template, text, got, c.IDs[i])
			}
		}
	}
}

func TestEncodePrompt_adds_no_second_start_token(t *testing.T) {
	for _, c := range []struct {
		add, text string
		want      []int32
	}{
		{"true", "a", []int32{1, 6}},
		{"true", "<s>a", []int32{1, 6}},
		{"true", "<s><s>a", []int32{1, 1, 6}}, // what the text says stays
		{"true", "a<s>", []int32{1, 6, 1}},
		{"true", "", []int32{1}},
		{"false", "<s>a", []int32{1, 6}},
		{"false", "a", []int32{6}},
		{`true,"add_eos_token":true`, "a", []int32{1, 6}},
	} {
		tok := loadDir(t, writeFolder(t, map[string]any{
			fileJSON: []byte(`{` + spModel + `,` + spSpecial + `}`),
			fileConfig: []byte(`{"tokenizer_class":"LlamaTokenizerFast","add_bos_token":` + c.add +
				`,"bos_token":"<s>","eos_token":"</s>"}`),
		}))
		if got := tok.EncodePrompt(c.text); !slices.Equal(got, c.want) {
			t.Errorf("add_bos_token %s, EncodePrompt(%q) = %v, want %v", c.add, c.text, got, c.want)
		}
	}
}

func TestLoad_adds_a_start_token_that_is_not_there(t *testing.T) {
	tok := loadDir(t, writeFolder(t, map[string]any{
		fileJSON:     []byte(`{` + spModel + `}`),
		fileConfig:   []byte(`{"tokenizer_class":"LlamaTokenizerFast","bos_token":"<s>"}`),
		fileSpecials: []byte(`{"bos_token":"<start>"}`), // counts where the config lists no tokens
	}))
	if got := tok.EncodeSpecial("a<start>"); !slices.Equal(got, []int32{11, 6, 11}) {
		t.Errorf("got %v", got)
	}
}
