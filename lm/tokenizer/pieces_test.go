package tokenizer

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// protoModel writes a ModelProto with pieces of the given kinds.
func protoModel(kind uint64, dummyPrefix bool, charmap string, tokens []string, scores []float32, kinds []uint64) []byte {
	var out []byte
	sub := func(number protowire.Number, content []byte) {
		out = protowire.AppendTag(out, number, protowire.BytesType)
		out = protowire.AppendBytes(out, content)
	}
	for i, token := range tokens {
		p := protowire.AppendTag(nil, protoPieceText, protowire.BytesType)
		p = protowire.AppendString(p, token)
		p = protowire.AppendTag(p, protoPieceScore, protowire.Fixed32Type)
		p = protowire.AppendFixed32(p, math.Float32bits(scores[i]))
		p = protowire.AppendTag(p, protoPieceKind, protowire.VarintType)
		sub(protoPieces, protowire.AppendVarint(p, kinds[i]))
	}
	sub(protoTrainer, protowire.AppendVarint(protowire.AppendTag(nil, protoTrainerKind, protowire.VarintType), kind))
	n := protowire.AppendString(protowire.AppendTag(nil, protoNormalizerName, protowire.BytesType), "nmt_nfkc")
	n = protowire.AppendString(protowire.AppendTag(n, protoNormalizerCharmap, protowire.BytesType), charmap)
	n = protowire.AppendVarint(protowire.AppendTag(n, protoNormalizerDummy, protowire.VarintType), protowire.EncodeBool(dummyPrefix))
	sub(protoNormalizer, n)
	return out
}

func samplePieces() ([]string, []float32, []uint64) {
	return []string{"<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "ab", "▁a", "▁ab"},
		[]float32{0, 0, 0, 0, -5, -6, -7, -2, -1, -3}, []uint64{2, 3, 3, 6, 1, 1, 1, 1, 1, 1}
}

func TestLoad_reads_sentencepiece_models(t *testing.T) {
	tokens, scores, kinds := samplePieces()
	for _, c := range []struct {
		name   string
		prefix bool
		config string
		want   []int32 // of "ab\nab"
	}{
		{"Llama's", true, `{"tokenizer_class":"LlamaTokenizer"}`, []int32{1, 9, 3, 7}},
		{"without a word of the class", true, `{}`, []int32{1, 9, 3, 7}},
		{"with an end", true, `{"add_bos_token":false,"add_eos_token":true}`, []int32{9, 3, 7, 2}},
		{"without a prefix", false, `{"add_bos_token":false}`, []int32{7, 3, 7}},
	} {
		tok := loadDir(t, writeFolder(t, map[string]any{
			filePieces: protoModel(pieceBPE, c.prefix, "", tokens, scores, kinds), fileConfig: []byte(c.config)}))
		for _, tok := range []Tokenizer{tok, reload(t, tok)} {
			if got := tok.EncodeSpecial("ab\nab"); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
		if notes := tok.Notes(); len(notes) > 0 {
			t.Errorf("%s: notes %q", c.name, notes)
		}
	}
	tok := loadDir(t, writeFolder(t, map[string]any{filePieces: protoModel(pieceBPE, true, "x", tokens, scores, kinds)}))
	if notes := strings.Join(tok.Notes(), "\n"); !strings.Contains(notes, "nmt_nfkc") {
		t.Errorf("the normalisation that is left out is not said: %q", notes)
	}
}

func TestLoad_refuses_other_sentencepiece_models(t *testing.T) {
	tokens, scores, kinds := samplePieces()
	whole := protoModel(pieceBPE, true, "", tokens, scores, kinds)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"unigram": {protoModel(pieceUnigram, true, "", tokens, scores, kinds), "type 1 is not supported"},
		"empty":   {nil, "no pieces"},
		"cut":     {whole[:len(whole)-3], "not a SentencePiece model"},
		"text":    {[]byte("hello"), "not a SentencePiece model"},
	} {
		_, err := Load(writeFolder(t, map[string]any{filePieces: c.data}))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), filePieces) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGoldenPieces compares a real tokenizer.model with transformers' ids.
func TestGoldenPieces(t *testing.T) {
	data, err := os.ReadFile("testdata/pieces.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Config json.RawMessage
		Model  []byte
		Cases  []struct {
			Text string
			IDs  []int32
		}
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Cases) < 20 {
		t.Fatalf("%d cases", len(g.Cases))
	}
	tok := loadDir(t, writeFolder(t, map[string]any{filePieces: g.Model, fileConfig: []byte(g.Config)}))
	for _, tok := range []Tokenizer{tok, reload(t, tok)} {
		for _, c := range g.Cases {
			if got := tok.EncodeSpecial(c.Text); !slices.Equal(got, c.IDs) {
				t.Errorf("EncodeSpecial(%q)\n got %v\nwant %v", c.Text, got, c.IDs)
			}
		}
	}
}

// FuzzPieces wants no panic from any tokenizer.model.
func FuzzPieces(f *testing.F) {
	tokens, scores, kinds := samplePieces()
	f.Add(protoModel(pieceBPE, true, "x", tokens, scores, kinds), []byte(`{"tokenizer_class":"LlamaTokenizer","add_eos_token":true}`))
	f.Add(protoModel(pieceBPE, false, "", tokens[:4], scores, kinds), []byte(`{"bos_token":null,"eos_token":{"content":"</s>"}}`))
	f.Fuzz(func(t *testing.T, model, config []byte) {
		var st settings
		if st.read(config) != nil {
			return
		}
		tok, err := fromPieces(model, filepath.Join("d", filePieces), st, nil)
		if err != nil {
			return
		}
		for _, text := range hardTexts() {
			tok.Decode(tok.EncodePrompt(text))
		}
	})
}
