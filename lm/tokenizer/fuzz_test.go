package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzTokenizerJSON wants no panic from any file or, if it is accepted, from
// using it.
func FuzzTokenizerJSON(f *testing.F) {
	for _, parts := range [][]string{
		{spModel, spSpecial, `"normalizer":` + partPrefixSpaces, `"decoder":` + partDecodeStarted},
		{spModel, `"pre_tokenizer":{"type":"Metaspace","prepend_scheme":"first","split":true},"decoder":{"type":"Metaspace"}`},
		{bertModel, bertParts},
		{byteModel, `"pre_tokenizer":` + string(sequence(splitRegex(patternLlama3), partByteLetters)), `"normalizer":{"type":"NFKC"}`},
		{byteModel, `"added_tokens":[{"id":11,"content":"<x>","lstrip":true,"rstrip":true,"single_word":true,"normalized":true}]`},
	} {
		f.Add([]byte("{" + strings.Join(parts, ",") + "}"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := FromJSON(data, "fuzz.json")
		if err != nil {
			return
		}
		if limit := 2*len(data) + 1024; tok.Size() > limit {
			t.Fatalf("%d tokens from %d bytes", tok.Size(), len(data))
		}
		for _, text := range hardTexts() {
			ids, spans := tok.EncodeOffsets(text)
			if !slices.Equal(ids, tok.Encode(text)) || len(ids) != len(spans) {
				t.Fatalf("%q: with offsets %v, without %v", text, ids, tok.Encode(text))
			}
			for _, s := range spans {
				if s[0] < 0 || s[0] > s[1] || s[1] > len(text) {
					t.Fatalf("%q: span %v in %d bytes", text, s, len(text))
				}
			}
			tok.Decode(tok.EncodeSpecial(text))
			tok.DecodeSkip(ids)
		}
	})
}

// FuzzRoundTrip wants every text back, and spans that follow each other.
func FuzzRoundTrip(f *testing.F) {
	tok := trained(f)
	for _, text := range append(hardTexts(), corpus()...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkCovers(t, tok, text)
		if got := tok.Decode(tok.Encode(text)); utf8.ValidString(text) && got != text {
			t.Errorf("Decode(Encode(%q)) = %q", text, got)
		}
	})
}
