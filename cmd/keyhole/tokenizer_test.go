package main

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/workbench"
)

// TestAModelWithAnotherTokenizerIsAnotherModel gives what belongs to a model to
// one with the same weights, some of whose tokens have each other's ids.
func TestAModelWithAnotherTokenizerIsAnotherModel(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	m, err := workbench.OpenModel(workbench.Embedded, lm.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(model, os.DirFS(m.Path)); err != nil {
		t.Fatal(err)
	}
	hash, err := m.Hash()
	if err != nil {
		t.Fatal(err)
	}
	others := map[string][]byte{"two tokens": exchanged(t, m.Tokenizer.Files()["tokenizer.json"])}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if shared := os.Getenv("KEYHOLE_SHARED"); shared != "" {
		others["the case"] = unpacked(t, filepath.Join(shared, "cases", "reliability", "tokenizer-permuted.json.gz"))
	}

	k, err := edit.ReadFile(filepath.Join(earlier, "edits", "ft.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ft.safetensors")
	if err := edit.WriteFile(file, k.Edited, hash); err != nil {
		t.Fatal(err)
	}
	if out := mustKeyhole(t, "edits", "apply", model, file, "--save", filepath.Join(t.TempDir(), "out")); strings.Contains(out, lm.NoTokenizer) {
		t.Errorf("an edit with the tokenizer's hash is taken for one without:\n%s", out)
	}
	if out := mustKeyhole(t, "edits", "apply", model, k.Path, "--save", filepath.Join(t.TempDir(), "out")); !strings.Contains(out, lm.NoTokenizer) {
		t.Errorf("no note of an edit without the tokenizer's hash:\n%s", out)
	}
	run := copied(t, "run")
	if out := mustKeyhole(t, "resume", run, "--model", model, "--steps", "9"); !strings.Contains(out, lm.NoTokenizer) {
		t.Errorf("no note of a run without the tokenizer's hash:\n%s", out)
	}
	results := filepath.Join(t.TempDir(), "none.jsonl")
	evaluate := func(model, limit string) []string {
		return []string{"eval", "--data", "embedded", "--editor", "none", "--model", model, "--limit", limit, "--out", results}
	}
	mustKeyhole(t, evaluate(model, "1")...)

	for name, tokenizer := range others {
		t.Run(name, func(t *testing.T) {
			other := filepath.Join(t.TempDir(), "model")
			if err := os.CopyFS(other, os.DirFS(model)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(other, "tokenizer.json"), tokenizer, 0o666); err != nil {
				t.Fatal(err)
			}
			saved := filepath.Join(t.TempDir(), "out")
			for _, args := range [][]string{
				{"edits", "apply", other, file, "--save", saved},
				{"generate", other, "--edit", file, "--prompt", "x", "--tokens", "1"},
				{"resume", run, "--model", other, "--steps", "10"},
				evaluate(other, "2"),
			} {
				_, err := keyhole(t, args...)
				if err == nil || !strings.Contains(err.Error(), "model") || !strings.Contains(err.Error(), "tokenizer") && args[0] != "eval" {
					t.Errorf("%s: %v", strings.Join(args[:2], " "), err)
				}
			}
			if _, err := os.Stat(saved); err == nil {
				t.Error("an edited model was written")
			}
		})
	}
	mustKeyhole(t, evaluate(model, "2")...)
}

// exchanged gives two tokens of a tokenizer.json each other's ids.
func exchanged(t *testing.T, raw []byte) []byte {
	t.Helper()
	var file map[string]any
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	vocab := file["model"].(map[string]any)["vocab"].(map[string]any)
	if vocab["e"] == nil || vocab["t"] == nil {
		t.Fatalf("the vocabulary of %d tokens lacks e or t", len(vocab))
	}
	vocab["e"], vocab["t"] = vocab["t"], vocab["e"]
	out, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func unpacked(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
