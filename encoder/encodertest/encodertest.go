// Package encodertest makes the folder of a tiny BERT, so that what needs a
// sentence encoder can be tested without a real one. Its vectors mean nothing.
package encodertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
)

// BERT is a folder to be written. Change what you like between Tiny and Write.
type BERT struct {
	Config  map[string]any
	Vocab   []string
	Weights map[string][]float32
	Shapes  map[string][]int
}

// The shape of Tiny.
const (
	Width, Heads, FFN, Layers, Positions = 8, 2, 12, 2, 10
)

// Tiny is a BERT of random numbers that knows a dozen words; it is the same at
// each call.
func Tiny() *BERT {
	f := &BERT{
		Vocab:   []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "on", "mat", "##s", "a", "dog"},
		Weights: map[string][]float32{}, Shapes: map[string][]int{},
	}
	f.Config = map[string]any{
		"model_type": "bert", "num_hidden_layers": Layers, "hidden_size": Width, "num_attention_heads": Heads,
		"intermediate_size": FFN, "vocab_size": len(f.Vocab), "max_position_embeddings": Positions,
		"type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
	}
	rng := rand.New(rand.NewPCG(1, 2))
	add := func(name string, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(rng.NormFloat64() * 0.4)
		}
		f.Weights[name], f.Shapes[name] = values, shape
	}
	d := Width
	add("embeddings.word_embeddings.weight", len(f.Vocab), d)
	add("embeddings.position_embeddings.weight", Positions, d)
	add("embeddings.token_type_embeddings.weight", 2, d)
	norm := func(name string) { add(name+".LayerNorm.weight", d); add(name+".LayerNorm.bias", d) }
	linear := func(name string, in, out int) { add(name+".weight", out, in); add(name+".bias", out) }
	norm("embeddings")
	for i := range Layers {
		p := fmt.Sprintf("encoder.layer.%d.", i)
		for _, part := range []string{"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"} {
			linear(p+part, d, d)
		}
		norm(p + "attention.output")
		linear(p+"intermediate.dense", d, FFN)
		linear(p+"output.dense", FFN, d)
		norm(p + "output")
	}
	return f
}

// Write makes the folder, below a temporary one, and returns its path.
func (f *BERT) Write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, v any) {
		text, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]int{}
	for i, w := range f.Vocab {
		ids[w] = i
	}
	put("config.json", f.Config)
	put("tokenizer.json", map[string]any{
		"normalizer":     map[string]any{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "lowercase": true},
		"pre_tokenizer":  map[string]any{"type": "BertPreTokenizer"},
		"post_processor": map[string]any{"type": "BertProcessing", "sep": []any{"[SEP]", 3}, "cls": []any{"[CLS]", 2}},
		"model":          map[string]any{"type": "WordPiece", "vocab": ids, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
	})
	var entries []safetensors.Entry
	for _, name := range slices.Sorted(maps.Keys(f.Weights)) {
		entries = append(entries, safetensors.Floats(name, f.Shapes[name], f.Weights[name], tensorfile.F32))
	}
	if err := safetensors.Write(filepath.Join(dir, safetensors.SingleName), entries, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	return dir
}
