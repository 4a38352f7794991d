package lm_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
)

// greedy continues a prompt and returns its ids and the new ones.
func greedy(t *testing.T, m *lm.Model, prompt string, n int) (ids, out []int32) {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	ids = m.Tokenizer.EncodePrompt(prompt)
	if out, err = m.Generate(eager.New(k), ids, lm.GenerateOptions{Tokens: n}); err != nil {
		t.Fatal(err)
	}
	return ids, out
}

func loadCase(t *testing.T, name string) *lm.Model {
	t.Helper()
	m, err := lm.Load(filepath.Join(golden.Path(t, "cases/models"), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestGoldenCases continues prompts as transformers 4.36.2 does, with models
// that public reports came out wrong on.
func TestGoldenCases(t *testing.T) {
	for _, c := range []struct {
		name, prompt string
		ids, out     []int32 // nil: not known
	}{
		{"tok_bos_config", "The capital of France is", []int32{1, 272, 390, 283, 379, 269}, []int32{189, 62, 32, 243, 234, 151}},
		{"bin", "The capital of France is", []int32{272, 390, 283, 379, 269}, []int32{295, 201, 149, 82, 0, 127}},
		{"binshards", "The capital of France is", []int32{272, 390, 283, 379, 269}, []int32{295, 201, 149, 82, 0, 127}},
		{"spm_only", "The capital of France is", nil, []int32{297, 214, 140, 150, 349, 85}},
		{"l3_llama-bpe.gguf", "in 1998", nil, []int32{63}},
		{"l3_none.gguf", "in 1998", nil, []int32{63}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ids, out := greedy(t, loadCase(t, c.name), c.prompt, len(c.out))
			if c.ids != nil && !slices.Equal(ids, c.ids) {
				t.Errorf("ids %v, want %v", ids, c.ids)
			}
			if !slices.Equal(out, c.out) {
				t.Errorf("continued by %v, want %v", out, c.out)
			}
		})
	}
}

func TestLoad_says_what_it_assumed(t *testing.T) {
	m := loadCase(t, "l3_none.gguf")
	if notes := strings.Join(m.Notes(), "\n"); !strings.Contains(notes, "llama-bpe") {
		t.Errorf("notes %q", notes)
	}
	if notes := loadCase(t, "l3_llama-bpe.gguf").Notes(); len(notes) > 0 {
		t.Errorf("notes %q where the file says it", notes)
	}
	as, err := lm.LoadWith(m.Path, lm.LoadOptions{Pre: "gpt-2"})
	if err != nil {
		t.Fatal(err)
	}
	defer as.Close()
	if got, other := as.Tokenizer.Encode("in 1998"), m.Tokenizer.Encode("in 1998"); slices.Equal(got, other) {
		t.Errorf("the choice of a pre-tokenizer changes nothing: %v", got)
	}
	if _, err := lm.LoadWith(filepath.Dir(m.Path)+"/rope_v5", lm.LoadOptions{Pre: "gpt-2"}); err == nil || !strings.Contains(err.Error(), "GGUF") {
		t.Errorf("a choice for a folder: %v", err)
	}
}
