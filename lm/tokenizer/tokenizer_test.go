package tokenizer

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// corpus is what the small tokenizers of these tests are trained on.
func corpus() []string {
	return []string{
		"The mother tongue of Danielle Darrieux is French.",
		"The capital of France is Paris, and the capital of Italy is Rome.",
		"Where is the Eiffel Tower? The Eiffel Tower is in Paris. It's there since 1889.",
		"The mother tongue of the mother is the tongue of the mother.",
		"  two  spaces,\ttabs\n\nand line breaks\r\n",
	}
}

func trained(t testing.TB) Tokenizer {
	t.Helper()
	tok, err := Train(corpus(), 300, []string{"<|endoftext|>", "<pad>"})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// hardTexts are texts that tokenizers get wrong.
func hardTexts() []string {
	return []string{
		"", " ", "   ", "\n", "a", "  a  b ", "it's IT'S 'll", "3.14 12345", "é e\u0301 ﬁ", "日本語 🙂👍🏽", "a\u00a0b\u2003c\u0085d",
		"\x00\x01", "\ufffd", "a<|endoftext|>b", "<|endoftext|><pad>", " <pad> ", "<|endoftext", "▁Ġ", strings.Repeat("ab ", 200),
	}
}

func TestTrainedTokenizerGivesTextsBack(t *testing.T) {
	tok := trained(t)
	again := reload(t, tok)
	for _, text := range append(hardTexts(), corpus()...) {
		ids := tok.Encode(text)
		if got := tok.Decode(ids); got != text {
			t.Errorf("Decode(Encode(%q)) = %q", text, got)
		}
		if got := again.Encode(text); !slices.Equal(got, ids) {
			t.Errorf("%q: %v, written and read again %v", text, ids, got)
		}
		if got := tok.EncodeSpecial(text); !slices.Equal(got, ids) {
			t.Errorf("EncodeSpecial(%q) = %v, adds to %v", text, got, ids)
		}
		checkCovers(t, tok, text)
	}
}

// checkCovers wants the spans to follow each other without gap and overlap.
func checkCovers(t *testing.T, tok Tokenizer, text string) {
	t.Helper()
	ids, spans := tok.EncodeOffsets(text)
	if want := tok.Encode(text); !slices.Equal(ids, want) {
		t.Errorf("EncodeOffsets(%q) = %v, Encode %v", text, ids, want)
	}
	at := 0
	for i, s := range spans {
		if s[0] != at || s[1] <= s[0] {
			t.Fatalf("%q: span %d is %v, want a start of %d and something in it", text, i, s, at)
		}
		at = s[1]
	}
	if at != len(text) || len(ids) != len(spans) {
		t.Fatalf("%q: %d spans up to byte %d for %d tokens and %d bytes", text, len(spans), at, len(ids), len(text))
	}
}

func TestTrainIsDeterministicAndOrdered(t *testing.T) {
	a, b := trained(t), trained(t)
	if string(a.Files()[fileJSON]) != string(b.Files()[fileJSON]) {
		t.Error("equal texts gave unequal vocabularies")
	}
	if a.Size() != 300 {
		t.Errorf("%d tokens, want 300", a.Size())
	}
	for id, want := range map[int32]string{0: "<|endoftext|>", 1: "<pad>", 2: "Ā", 34: "Ġ", 67: "A"} {
		if got, ok := a.Token(id); !ok || got != want {
			t.Errorf("token %d is %q (%t), want %q", id, got, ok, want)
		}
		if got, ok := a.ID(want); !ok || got != id {
			t.Errorf("ID(%q) = %d (%t), want %d", want, got, ok, id)
		}
	}
	if ids := a.Encode(" the mother"); len(ids) != 2 {
		t.Errorf("%q is %d tokens, want the two frequent words", " the mother", len(ids))
	}
	if bos, ok := a.BOS(); !ok || bos != 0 {
		t.Errorf("BOS = %d, %t", bos, ok)
	}
	if eos, ok := a.EOS(); !ok || eos != 0 {
		t.Errorf("EOS = %d, %t", eos, ok)
	}
	if got := a.DecodeSkip(a.Encode("x<pad>y<|endoftext|>")); got != "xy" {
		t.Errorf("DecodeSkip = %q, want the text without special tokens", got)
	}
	if got := a.Decode([]int32{-1, 67, 1 << 30}); got != "A" {
		t.Errorf("Decode with ids outside the vocabulary = %q, want A", got)
	}
}

// TestTrainMergesTheMostFrequentPair follows a case by hand: "ab ab ab cd,cd"
// has the pairs ab ×3, Ġa ×2 and cd ×2. After ab, Ġa has become Ġab; it is as
// frequent as cd, and its first id is smaller.
func TestTrainMergesTheMostFrequentPair(t *testing.T) {
	tok, err := Train([]string{"ab ab ab cd,cd"}, 300, nil)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Model struct {
			Merges []string `json:"merges"`
		} `json:"model"`
	}
	if err := json.Unmarshal(tok.Files()[fileJSON], &file); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a b", "Ġ ab", "c d"}; !slices.Equal(file.Model.Merges, want) {
		t.Errorf("merges %q, want %q", file.Model.Merges, want)
	}
}

func TestTrainRefusesWhatCannotBe(t *testing.T) {
	for _, c := range []struct {
		size    int
		special []string
		want    string
	}{
		{256, []string{"<s>"}, "at least 257"},
		{300, []string{"<s>", "<s>"}, "was there before"},
		{300, []string{""}, "is empty"},
		{300, []string{"a"}, "letter of a byte"},
	} {
		_, err := Train(corpus(), c.size, c.special)
		wantError(t, err, c.want)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestEncodeIsSafeForConcurrentUse(t *testing.T) {
	tok := trained(t)
	texts := append(hardTexts(), corpus()...)
	want := make([][]int32, len(texts))
	fresh := trained(t)
	for i, text := range texts {
		want[i] = fresh.Encode(text)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, text := range texts {
				if got := tok.Encode(text); !slices.Equal(got, want[i]) {
					t.Errorf("%q: %v, want %v", text, got, want[i])
				}
			}
		})
	}
	wg.Wait()
}

func TestCacheStaysBounded(t *testing.T) {
	c := newCache()
	for i := range cacheWords + 10 {
		c.put(fmt.Sprint(i), []int32{int32(i)})
	}
	if len(c.ids) > cacheWords {
		t.Errorf("%d words in the cache, want at most %d", len(c.ids), cacheWords)
	}
	if ids, ok := c.get(fmt.Sprint(cacheWords + 9)); !ok || ids[0] != cacheWords+9 {
		t.Errorf("the last word is not in the cache")
	}
}

func TestLoadNamesTheFilesItLookedFor(t *testing.T) {
	_, err := Load(t.TempDir())
	wantError(t, err, "tokenizer.json", "tokenizer.json.gz", "vocab.json", "merges.txt")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not wrap fs.ErrNotExist", err)
	}
}

func TestLoadReadsCompressedFiles(t *testing.T) {
	tok, dir := trained(t), t.TempDir()
	f, err := os.Create(filepath.Join(dir, fileGzip))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write(tok.Files()[fileJSON]); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	again := loadDir(t, dir)
	if got, want := string(again.Files()[fileJSON]), string(tok.Files()[fileJSON]); got != want {
		t.Error("the file written differs from the one read")
	}
}

func TestLoadTakesEndsFromTheConfig(t *testing.T) {
	files := trained(t).Files()
	for _, c := range []struct {
		name, config string
		bos, eos     int32 // -1: none
	}{
		{"names", `{"bos_token":"<pad>","eos_token":{"content":"<|endoftext|>"}}`, 1, 0},
		{"null means none", `{"bos_token":null,"eos_token":"<pad>"}`, -1, 1},
		{"nothing said", `{}`, 0, 0},
		{"not in the vocabulary", `{"bos_token":"<x>"}`, -1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, data := range map[string][]byte{fileJSON: files[fileJSON], fileConfig: []byte(c.config)} {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			tok := loadDir(t, dir)
			if bos, ok := tok.BOS(); ok != (c.bos >= 0) || ok && bos != c.bos {
				t.Errorf("BOS = %d, %t, want %d", bos, ok, c.bos)
			}
			if eos, ok := tok.EOS(); ok != (c.eos >= 0) || ok && eos != c.eos {
				t.Errorf("EOS = %d, %t, want %d", eos, ok, c.eos)
			}
		})
	}
}

// vocabMerges returns the trained tokenizer as vocab.json and merges.txt.
func vocabMerges(t *testing.T, tok Tokenizer) (vocab, merges []byte) {
	t.Helper()
	var file struct {
		Model struct {
			Vocab  json.RawMessage `json:"vocab"`
			Merges []string        `json:"merges"`
		} `json:"model"`
	}
	if err := json.Unmarshal(tok.Files()[fileJSON], &file); err != nil {
		t.Fatal(err)
	}
	return file.Model.Vocab, []byte("#version: 0.2\n" + strings.Join(file.Model.Merges, "\n") + "\n")
}

func TestVocabAndMergesEqualTheJSON(t *testing.T) {
	want := trained(t)
	vocab, merges := vocabMerges(t, want)
	tok, err := FromVocabMerges(vocab, merges, "vocab.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"The mother tongue", "a<|endoftext|>b", "日本 1889"} {
		if got := tok.Encode(text); !slices.Equal(got, want.Encode(text)) {
			t.Errorf("%q: %v, want %v", text, got, want.Encode(text))
		}
	}
	for _, name := range []string{fileVocab, fileMerges, fileJSON, fileConfig} {
		if tok.Files()[name] == nil {
			t.Errorf("no %s among the files", name)
		}
	}

	dir := t.TempDir()
	side := map[string]string{
		fileVocab: string(vocab), fileMerges: string(merges),
		fileConfig: `{"bos_token":"<pad>","add_bos_token":true,"eos_token":"<|endoftext|>"}`, fileAdded: `{"<extra>":300}`,
	}
	for name, data := range side {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tok = loadDir(t, dir)
	if got := tok.EncodeSpecial("<extra>A"); !slices.Equal(got, []int32{1, 300, 67}) {
		t.Errorf("with its settings EncodeSpecial gives %v, want the start token, the added one and A", got)
	}
}

func TestVocabAndMergesRefuseFaults(t *testing.T) {
	for _, c := range []struct{ vocab, merges, want string }{
		{`[]`, "", "not a vocabulary"},
		{`{"a":0}`, "a b c\n", "merge 0"},
		{`{"a":0}`, "a b\n", `token "b" is not in the vocabulary`},
		{`{"a":0,"b":1}`, "a b\n", `token "ab" is not in the vocabulary`},
		{`{"a":0,"b":0}`, "", "share the id 0"},
		{`{"a":-1}`, "", "negative id"},
		{`{"a":2000000000}`, "", "cannot be right"},
	} {
		_, err := FromVocabMerges([]byte(c.vocab), []byte(c.merges), "some.json")
		wantError(t, err, "some.json", c.want)
	}
}
