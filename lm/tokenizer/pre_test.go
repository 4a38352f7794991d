package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

func TestFromGGUF_recognises_families_by_their_tokens(t *testing.T) {
	for _, c := range []struct {
		tokens string
		pre    any
		want   string
	}{
		{"<|begin_of_text|> <|eot_id|>", nil, "llama-bpe"},
		{"<|begin_of_text|>", "default", "llama-bpe"},
		{"<|endoftext|> <|im_start|> <|im_end|>", nil, "qwen2"},
		{"<|endoftext|> <|im_start|> <gh_stars>", nil, "smollm"},
		{"<|endoftext|> <|im_start|> <|im_sep|>", nil, "smaug-bpe"},
		{"<s> [INST] [AVAILABLE_TOOLS]", nil, "tekken"},
		{"<|start|> <|channel|> <|message|>", nil, "gpt-4o"},
		{"<｜begin▁of▁sentence｜> <｜User｜>", nil, "deepseek-v3"},
		{"<｜begin▁of▁sentence｜> <｜User｜> <|vision_start|>", nil, "deepseek-r1-qwen"},
		{"<｜begin▁of▁sentence｜>", nil, "deepseek-llm"},
		{"<|endoftext|>", nil, "gpt-2"},
		{"<|begin_of_text|>", "gpt-2", ""}, // the file's word counts
		{"<|begin_of_text|>", "llama-bpe", ""},
	} {
		meta := byteMetadata()
		tokens := meta["tokenizer.ggml.tokens"].([]string)[:256]
		meta["tokenizer.ggml.tokens"] = append(append(slices.Clone(tokens), "11", "111"), strings.Fields(c.tokens)...)
		meta["tokenizer.ggml.token_type"] = nil
		meta = meta.with(mapMetadata{"tokenizer.ggml.pre": c.pre, "tokenizer.ggml.token_type": nil})
		tok, err := FromGGUF(meta, "some.gguf", "")
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(tok.Notes(), "\n")
		if c.want == "" {
			if notes != "" {
				t.Errorf("%s, %v: notes %q", c.tokens, c.pre, notes)
			}
			continue
		}
		if !strings.Contains(notes, `taken as "`+c.want+`"`) || !strings.Contains(notes, "--pre") {
			t.Errorf("%s, %v: notes %q, want %s", c.tokens, c.pre, notes, c.want)
		}
		same, err := FromGGUF(meta, "some.gguf", c.want)
		if err != nil {
			t.Fatal(err)
		}
		const text = "It's 11111 Tests\n\n  MixedCase é司马光"
		if got, want := tok.EncodeSpecial(text), same.EncodeSpecial(text); !slices.Equal(got, want) {
			t.Errorf("%s: %v, named %v", c.tokens, got, want)
		}
		if len(same.Notes()) > 0 {
			t.Errorf("named by the user, and yet: %q", same.Notes())
		}
	}
}

func TestFromGGUF_refuses_an_unknown_choice(t *testing.T) {
	_, err := FromGGUF(byteMetadata(), "some.gguf", "lama-bpe")
	wantError(t, err, "some.gguf", `pre-tokenizer "lama-bpe" is not supported`, "llama-bpe")
}
