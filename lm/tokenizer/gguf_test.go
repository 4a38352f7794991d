package tokenizer

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// mapMetadata is metadata without a file.
type mapMetadata map[string]any

func (m mapMetadata) Get(key string) (any, bool) {
	v, ok := m[key]
	return v, ok
}

// with returns m with some values changed; nil takes a key out.
func (m mapMetadata) with(change mapMetadata) mapMetadata {
	out := maps.Clone(m)
	for key, value := range change {
		if out[key] = value; value == nil {
			delete(out, key)
		}
	}
	return out
}

// byteMetadata has all byte letters as tokens 0 to 255, then three more.
func byteMetadata() mapMetadata {
	var tokens []string
	for b := range 256 {
		tokens = append(tokens, string(byteLetter(byte(b))))
	}
	types := slices.Repeat([]int32{ggufNormal}, 256)
	return mapMetadata{
		"tokenizer.ggml.model":        "gpt2",
		"tokenizer.ggml.pre":          "gpt-2",
		"tokenizer.ggml.tokens":       append(tokens, "<s>", "11", "111", "<user>"),
		"tokenizer.ggml.token_type":   append(types, ggufControl, ggufNormal, ggufNormal, ggufUser),
		"tokenizer.ggml.merges":       []string{"1 1", "11 1", "1 1"},
		"tokenizer.ggml.bos_token_id": uint32(256),
		"tokenizer.ggml.eos_token_id": uint64(256),
	}
}

func pieceMetadata() mapMetadata {
	return mapMetadata{
		"tokenizer.ggml.model":            "llama",
		"tokenizer.ggml.tokens":           []string{"<unk>", "<s>", "<0x0A>", "▁", "a", "b", "ab", "▁a", "▁ab"},
		"tokenizer.ggml.scores":           []float32{0, 0, 0, -5, -6, -7, -2, -1, -3},
		"tokenizer.ggml.token_type":       []uint32{2, 3, 6, 1, 1, 1, 1, 1, 1},
		"tokenizer.ggml.bos_token_id":     1,
		"tokenizer.ggml.unknown_token_id": int8(0),
		"tokenizer.chat_template":         "{{ messages }}",
	}
}

func TestFromGGUFByteLevel(t *testing.T) {
	const one, space, a = int32('1'), int32(' '), int32('a')
	for _, c := range []struct {
		name    string
		change  mapMetadata
		text    string
		ids     []int32
		special []int32 // nil: as ids
	}{
		{"gpt-2", nil, "111a", []int32{258, a}, nil},
		{"no pre-tokenizer", mapMetadata{"tokenizer.ggml.pre": nil}, "111 ", []int32{258, space}, nil},
		{"digits alone", mapMetadata{"tokenizer.ggml.pre": "smollm"}, "11", []int32{one, one}, nil},
		{"Qwen composes", mapMetadata{"tokenizer.ggml.pre": "qwen2"}, "e\u030111", []int32{0xc3, 0xa9, one, one}, nil},
		{"Llama 3 begins", mapMetadata{"tokenizer.ggml.pre": "llama-bpe"}, "1111", []int32{258, one}, []int32{256, 258, one}},
		{"told to begin and end", mapMetadata{"tokenizer.ggml.add_bos_token": true, "tokenizer.ggml.add_eos_token": true}, "a", []int32{a}, []int32{256, a, 256}},
		{"tokens in the text", nil, "<s><user>", []int32{256, 259}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := FromGGUF(byteMetadata().with(c.change), "some.gguf", "")
			if err != nil {
				t.Fatal(err)
			}
			if c.special == nil {
				c.special = c.ids
			}
			for _, tok := range []Tokenizer{tok, reload(t, tok)} {
				if got := tok.Encode(c.text); !slices.Equal(got, c.ids) {
					t.Errorf("Encode(%q) = %v, want %v", c.text, got, c.ids)
				}
				if got := tok.EncodeSpecial(c.text); !slices.Equal(got, c.special) {
					t.Errorf("EncodeSpecial(%q) = %v, want %v", c.text, got, c.special)
				}
				if got := tok.DecodeSkip([]int32{256, 259, a}); got != "<user>a" {
					t.Errorf("DecodeSkip = %q, want what is not a control token", got)
				}
			}
		})
	}
}

func TestFromGGUFSentencePiece(t *testing.T) {
	tok, err := FromGGUF(pieceMetadata(), "some.gguf", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []Tokenizer{tok, reload(t, tok)} {
		// ▁a has the best score, then ab; so "ab" begins as ▁a and becomes ▁ab.
		if got, want := tok.EncodeSpecial("ab\nabc"), []int32{1, 8, 2, 6, 0}; !slices.Equal(got, want) {
			t.Errorf("EncodeSpecial = %v, want %v", got, want)
		}
		if got := tok.DecodeSkip([]int32{1, 8, 2, 7}); got != "ab\n a" {
			t.Errorf("DecodeSkip = %q", got)
		}
	}
	if config := string(tok.Files()[fileConfig]); !strings.Contains(config, `"chat_template":"{{ messages }}"`) {
		t.Errorf("%s lacks the chat template: %s", fileConfig, config)
	}
	bare, err := FromGGUF(pieceMetadata().with(mapMetadata{"tokenizer.ggml.add_space_prefix": false, "tokenizer.ggml.add_bos_token": false}), "some.gguf", "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := bare.EncodeSpecial("ab a"), []int32{6, 7}; !slices.Equal(got, want) {
		t.Errorf("without prefix: %v, want %v", got, want)
	}
}

func TestFromGGUFRefusesFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		base   mapMetadata
		change mapMetadata
		want   string
	}{
		{"no tokenizer", byteMetadata(), mapMetadata{"tokenizer.ggml.model": nil}, "no tokenizer.ggml.model"},
		{"another model", byteMetadata(), mapMetadata{"tokenizer.ggml.model": "t5"}, `"t5" is not supported`},
		{"another pre-tokenizer", byteMetadata(), mapMetadata{"tokenizer.ggml.pre": "bloom"}, `"bloom" is not supported`},
		{"tokens of another type", byteMetadata(), mapMetadata{"tokenizer.ggml.tokens": []int32{1}}, "[]int32, want []string"},
		{"token twice", byteMetadata(), mapMetadata{"tokenizer.ggml.tokens": []string{"a", "a"}, "tokenizer.ggml.token_type": nil}, "tokens 0 and 1 are both"},
		{"too few types", byteMetadata(), mapMetadata{"tokenizer.ggml.token_type": []int32{1}}, "1 values for 260 tokens"},
		{"types of another type", byteMetadata(), mapMetadata{"tokenizer.ggml.token_type": "x"}, "want integers"},
		{"no merges", byteMetadata(), mapMetadata{"tokenizer.ggml.merges": nil}, "no tokenizer.ggml.merges"},
		{"merge without space", byteMetadata(), mapMetadata{"tokenizer.ggml.merges": []string{"11"}}, "merge 0"},
		{"start token outside", byteMetadata(), mapMetadata{"tokenizer.ggml.bos_token_id": int64(999)}, "bos_token_id is 999"},
		{"start token below", byteMetadata(), mapMetadata{"tokenizer.ggml.bos_token_id": int64(-1)}, "bos_token_id is -1"},
		{"start token of another type", byteMetadata(), mapMetadata{"tokenizer.ggml.bos_token_id": "x"}, "want an integer"},
		{"no scores", pieceMetadata(), mapMetadata{"tokenizer.ggml.scores": nil}, "no tokenizer.ggml.scores"},
		{"too few scores", pieceMetadata(), mapMetadata{"tokenizer.ggml.scores": []float64{1}}, "1 values for 9 tokens"},
		{"byte without name", pieceMetadata(), mapMetadata{"tokenizer.ggml.token_type": []uint8{2, 3, 6, 6, 1, 1, 1, 1, 1}}, "marked as a byte"},
		{"not UTF-8", pieceMetadata(), mapMetadata{"tokenizer.ggml.tokens": []string{"\xff"}}, "is not UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := FromGGUF(c.base.with(c.change), "some.gguf", "")
			wantError(t, err, "some.gguf", c.want)
		})
	}
}
