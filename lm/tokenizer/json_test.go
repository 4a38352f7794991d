package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fromJSON builds a tokenizer from parts: a JSON object without its braces.
func fromJSON(t *testing.T, parts ...string) Tokenizer {
	t.Helper()
	tok, err := FromJSON([]byte("{"+strings.Join(parts, ",")+"}"), "test.json")
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

const (
	// spModel is a small SentencePiece-style vocabulary; of the bytes it has
	// those of é (c3 a9).
	spModel = `"model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,
		"vocab":{"<unk>":0,"<s>":1,"</s>":2,"<0xC3>":3,"<0xA9>":4,"▁":5,"a":6,"b":7,"▁a":8,"ab":9,"▁ab":10},
		"merges":["▁ a","a b","▁a b"]}`
	spSpecial = `"added_tokens":[{"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true}]`
	// bertModel is a small WordPiece vocabulary.
	bertModel = `"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":5,
		"vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,"paris":3,"par":4,"##is":5,"is":6,".":7,"e":8,"中":9}}`
	bertParts = `"normalizer":{"type":"BertNormalizer"},"pre_tokenizer":{"type":"BertPreTokenizer"},"decoder":{"type":"WordPiece"},
		"post_processor":{"type":"BertProcessing","cls":["[CLS]",1],"sep":["[SEP]",2]},
		"added_tokens":[{"id":1,"content":"[CLS]","special":true},{"id":2,"content":"[SEP]","special":true}]`
	byteModel = `"model":{"type":"BPE","vocab":{"a":0,"b":1,"Ġ":2,"Ã":3,"©":4,"1":5,"ab":6,"11":7,"'":8,"s":9,"'s":10},
		"merges":[["a","b"],["1","1"],["'","s"]]},"decoder":{"type":"ByteLevel"}`
)

func TestSentencePieceSpansAndBytes(t *testing.T) {
	tok := fromJSON(t, spModel, spSpecial, `"normalizer":`+partPrefixSpaces, `"decoder":`+partDecodeStarted)
	if tok.Kind() != "SentencePiece-style BPE with byte fallback" {
		t.Errorf("kind %q", tok.Kind())
	}
	for _, c := range []struct {
		text    string
		ids     []int32
		spans   [][2]int
		decoded string
	}{
		{"", nil, nil, ""},
		{"ab", []int32{10}, [][2]int{{0, 2}}, "ab"},
		{" ab", []int32{5, 10}, [][2]int{{0, 0}, {0, 3}}, " ab"},
		{"ab</s>a", []int32{10, 2, 8}, [][2]int{{0, 2}, {2, 6}, {6, 7}}, "ab</s> a"},
		{"é", []int32{5, 3, 4}, [][2]int{{0, 0}, {0, 1}, {1, 2}}, "é"},
		{"a日本b", []int32{8, 0, 7}, [][2]int{{0, 1}, {1, 7}, {7, 8}}, "a<unk>b"},
	} {
		ids, spans := tok.EncodeOffsets(c.text)
		if !slices.Equal(ids, c.ids) || !slices.Equal(spans, c.spans) {
			t.Errorf("EncodeOffsets(%q) = %v %v, want %v %v", c.text, ids, spans, c.ids, c.spans)
		}
		if got := tok.Decode(ids); got != c.decoded {
			t.Errorf("Decode(%v) = %q, want %q", ids, got, c.decoded)
		}
	}
	if got := tok.Decode([]int32{3, 3, 4}); got != "\ufffd\ufffd\ufffd" {
		t.Errorf("a run of bytes that is not valid as a whole gives %q, want one U+FFFD a byte", got)
	}
}

func TestMetaspaceSchemes(t *testing.T) {
	for _, c := range []struct {
		scheme string
		want   []int32
	}{
		{"always", []int32{8, 2, 8}},
		{"first", []int32{8, 2, 6}},
		{"never", []int32{6, 2, 6}},
	} {
		tok := fromJSON(t, spModel, spSpecial, fmt.Sprintf(`"pre_tokenizer":{"type":"Metaspace","prepend_scheme":%q}`, c.scheme))
		if got := tok.Encode("a</s>a"); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.scheme, got, c.want)
		}
	}
}

func TestWordPiece(t *testing.T) {
	tok := fromJSON(t, bertModel, bertParts)
	for _, c := range []struct {
		text    string
		ids     []int32
		spans   [][2]int
		decoded string
	}{
		{"PARIS is.", []int32{3, 6, 7}, [][2]int{{0, 5}, {6, 8}, {8, 9}}, "paris is."},
		{"parise", []int32{0}, [][2]int{{0, 6}}, "[UNK]"}, // too long a word
		{"paré", []int32{0}, [][2]int{{0, 5}}, "[UNK]"},   // no token for the e inside
		{"É\u0301", []int32{8}, [][2]int{{0, 2}}, "e"},
		{"is中is", []int32{6, 9, 6}, [][2]int{{0, 2}, {2, 5}, {5, 7}}, "is 中 is"},
		{"is\x00\tis\x0bis", []int32{6, 6, 5}, [][2]int{{0, 2}, {4, 6}, {7, 9}}, "is isis"},
	} {
		ids, spans := tok.EncodeOffsets(c.text)
		if !slices.Equal(ids, c.ids) || !slices.Equal(spans, c.spans) {
			t.Errorf("EncodeOffsets(%q) = %v %v, want %v %v", c.text, ids, spans, c.ids, c.spans)
		}
		if got := tok.Decode(ids); got != c.decoded {
			t.Errorf("Decode(%v) = %q, want %q", ids, got, c.decoded)
		}
	}
	if got, want := tok.EncodeSpecial("is"), []int32{1, 6, 2}; !slices.Equal(got, want) {
		t.Errorf("EncodeSpecial = %v, want %v", got, want)
	}
}

func TestByteLevelDropsBytesTheVocabularyLacks(t *testing.T) {
	tok := fromJSON(t, byteModel, `"pre_tokenizer":`+partByteLetters)
	ids, spans := tok.EncodeOffsets("a\x01b é")
	if want := []int32{6, 2, 3, 4}; !slices.Equal(ids, want) {
		t.Errorf("ids %v, want %v (a and b become neighbours)", ids, want)
	}
	if want := [][2]int{{0, 3}, {3, 4}, {4, 5}, {5, 6}}; !slices.Equal(spans, want) {
		t.Errorf("spans %v, want %v", spans, want)
	}
}

func TestNormalisedTextKeepsItsOrigin(t *testing.T) {
	tok := fromJSON(t, byteModel, `"normalizer":{"type":"NFC"}`, `"pre_tokenizer":`+partByteLevel)
	ids, spans := tok.EncodeOffsets("ae\u0301b")
	if want := []int32{0, 3, 4, 1}; !slices.Equal(ids, want) {
		t.Errorf("ids %v, want %v", ids, want)
	}
	if want := [][2]int{{0, 1}, {1, 4}, {1, 4}, {4, 5}}; !slices.Equal(spans, want) {
		t.Errorf("spans %v, want %v", spans, want)
	}
}

func TestAddedTokenFlags(t *testing.T) {
	for _, c := range []struct{ name, flags, text, want string }{
		{"plain", ``, "a <x> b", "a|Ġ|<x>|Ġ|b"},
		{"left white space", `,"lstrip":true`, "a <x> b", "a|<x>|Ġ|b"},
		{"right white space", `,"rstrip":true`, "a <x>  b", "a|Ġ|<x>|b"},
		{"single word inside a word", `,"single_word":true`, "a<x>b", "a|b"},
		{"single word apart", `,"single_word":true`, "a <x>", "a|Ġ|<x>"},
		{"twice", `,"lstrip":true,"rstrip":true`, " <x> <x> ", "<x>|<x>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := fromJSON(t, byteModel, `"pre_tokenizer":`+partByteLevel, `"added_tokens":[{"id":11,"content":"<x>"`+c.flags+`}]`)
			var names []string
			for _, id := range tok.Encode(c.text) {
				name, _ := tok.Token(id)
				names = append(names, name)
			}
			if got := strings.Join(names, "|"); got != c.want {
				t.Errorf("%q: %s, want %s", c.text, got, c.want)
			}
		})
	}
}

func TestLongestAddedTokenWins(t *testing.T) {
	tok := fromJSON(t, byteModel, `"pre_tokenizer":`+partByteLevel,
		`"normalizer":{"type":"Lowercase"},"added_tokens":[{"id":11,"content":"<x"},{"id":12,"content":"<x>"},{"id":13,"content":"Q","normalized":true}]`)
	if got, want := tok.Encode("<x><xqQ<X>"), []int32{12, 11, 13, 13}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestFromJSONRefusesFaults(t *testing.T) {
	for _, c := range []struct{ name, json, want string }{
		{"not JSON", `{`, "not a tokenizer.json"},
		{"no model", `{}`, `no "model"`},
		{"another model", `{"model":{"type":"Unigram","vocab":[["a",0]]}}`, `"Unigram" is not supported`},
		{"huge id", `{"model":{"type":"BPE","vocab":{"a":2147483647},"merges":[]}}`, "cannot be right"},
		{"negative added id", `{` + byteModel + `,"added_tokens":[{"id":-5,"content":"<x>"}]}`, "negative id -5"},
		{"shared id", `{` + byteModel + `,"added_tokens":[{"id":5,"content":"<x>"}]}`, "share the id 5"},
		{"merges of three", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a","a","a"]]}}`, "3 parts"},
		{"merges of numbers", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[1]}}`, "merges are neither"},
		{"unknown token missing", `{"model":{"type":"BPE","unk_token":"?","vocab":{"a":0},"merges":[]}}`, `unk_token "?"`},
		{"WordPiece without unknown", `{"model":{"type":"WordPiece","vocab":{"a":0}}}`, "needs an unk_token"},
		{"word suffix", `{"model":{"type":"BPE","end_of_word_suffix":"</w>","vocab":{"a":0},"merges":[]}}`, `"</w>" is not supported`},
		{"unknown pattern", `{` + byteModel + `,"pre_tokenizer":{"type":"Split","pattern":{"Regex":"x(?=y)"},"behavior":"Isolated"}}`, `"x(?=y)"`},
		{"unknown behaviour", `{` + byteModel + `,"pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\p{N}"},"behavior":"Removed","invert":true}}`, `"Removed"`},
		{"unknown normalizer", `{` + byteModel + `,"normalizer":{"type":"Precompiled"}}`, `"Precompiled" is not supported`},
		{"unknown part", `{` + byteModel + `,"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Nmt"}]}}`, "part 1"},
		{"unknown decoder", `{` + byteModel + `,"decoder":{"type":"CTC"}}`, "decoder"},
		{"template without token", `{` + byteModel + `,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}}]}}`, `"<s>" is not among`},
		{"template without end", `{` + byteModel + `,"post_processor":{"type":"TemplateProcessing","special_tokens":{"a":{"ids":[` +
			strings.Repeat("0,", 500) + `0]}},"single":[` + strings.Repeat(`{"SpecialToken":{"id":"a"}},`, 500) + `{"Sequence":{"id":"A"}}]}}`, "more than 1024"},
		{"template with a foreign id", `{` + byteModel + `,"post_processor":{"type":"BertProcessing","cls":["x",99],"sep":["a",0]}}`, "adds token 99"},
		{"endless growth", `{` + byteModel + `,"normalizer":{"type":"Sequence","normalizers":[` +
			strings.Repeat(`{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaa"},`, 20) + `{"type":"NFC"}]}}`, "times as long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := FromJSON([]byte(c.json), "some.json")
			wantError(t, err, "some.json", c.want)
		})
	}
}
