package lm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompareHashes(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want Likeness
	}{
		{"w", "w", SameModel},
		{"w+t", "w+t", SameModel},
		{"w", "w+t", SameWeights},
		{"w+t", "w", SameWeights},
		{"w+t", "w+u", OtherTokenizer},
		{"w+t", "v+t", OtherWeights},
		{"w", "v", OtherWeights},
		{"", "w+t", OtherWeights},
	} {
		if got := CompareHashes(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// TestTheHashCoversTheTokenizer changes each file that a tokenizer is read from,
// and packs one.
func TestTheHashCoversTheTokenizer(t *testing.T) {
	vocab := func(order string) string {
		a, b, _ := strings.Cut(order, " ")
		return `{"model": {"type": "BPE", "vocab": {"` + a + `": 0, "` + b + `": 1}, "merges": []}}`
	}
	tiny := tinyModel(t, tinyConfigs()["llama"])
	folder := func(files map[string]string) *Model {
		dir := saved(t, tiny, SaveOptions{})
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return loadModel(t, dir)
	}
	hash := func(m *Model) string {
		h, err := m.Hash()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	first := folder(map[string]string{"tokenizer.json": vocab("a b")})
	same := folder(map[string]string{"tokenizer.json": vocab("a b")})
	if hash(first) != hash(same) {
		t.Error("equal folders have different hashes")
	}
	for what, files := range map[string]map[string]string{
		"ids exchanged":    {"tokenizer.json": vocab("b a")},
		"with a config":    {"tokenizer.json": vocab("a b"), "tokenizer_config.json": `{"add_bos_token": false}`},
		"with more tokens": {"tokenizer.json": vocab("a b"), "special_tokens_map.json": `{"eos_token": "a"}`},
	} {
		var other *OtherModelError
		_, err := folder(files).Owns(hash(first))
		if !errors.As(err, &other) || !strings.Contains(err.Error(), "the weights are the same, but the tokenizer") {
			t.Errorf("%s: %v", what, err)
		}
	}
	weights, tok := SplitHash(hash(first))
	if len(weights) != 64 || len(tok) != 64 {
		t.Errorf("the hash is %q", hash(first))
	}
	if note, err := first.Owns(weights); err != nil || note == "" {
		t.Errorf("the hash of an earlier version: note %q, error %v", note, err)
	}
	if note, err := first.Owns(hash(same)); err != nil || note != "" {
		t.Errorf("its own hash: note %q, error %v", note, err)
	}
	if bare := folder(nil); hash(bare) != weights {
		t.Errorf("without a tokenizer the hash is %q, want %q", hash(bare), weights)
	}
}
