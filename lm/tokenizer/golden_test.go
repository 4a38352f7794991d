package tokenizer

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/lm/gguf"
)

// fileMetadata lets FromGGUF read an open file.
type fileMetadata struct{ *gguf.File }

func (m fileMetadata) Get(key string) (any, bool) { return m.Value(key) }

func openGGUF(t *testing.T, path string) Tokenizer {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	tok, err := FromGGUF(fileMetadata{f}, path, "")
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func loadDir(t *testing.T, dir string) Tokenizer {
	t.Helper()
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// goldenTokenizer opens the tokenizer that the golden cases call by name.
func goldenTokenizer(t *testing.T, root, name string) Tokenizer {
	t.Helper()
	switch name {
	case "gpt2":
		return loadDir(t, filepath.Join(root, "data/tokenizers/gpt2"))
	case "qwen3":
		return loadDir(t, filepath.Join(root, "data/tokenizers/qwen3"))
	case "stories260k":
		return loadDir(t, filepath.Join(root, "models/stories260k"))
	case "smollm2":
		return openGGUF(t, filepath.Join(root, "models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf"))
	}
	t.Fatalf("the golden cases name a tokenizer %q; tell goldenTokenizer where it lies", name)
	return nil
}

type goldenCase struct {
	Tokenizer   string  `json:"tokenizer"`
	Kind        string  `json:"kind"`
	Text        string  `json:"text"`
	IDs         []int32 `json:"ids"`
	IDsSpecial  []int32 `json:"ids_special"`
	Decoded     string  `json:"decoded"`
	DecodedSkip string  `json:"decoded_skip"`
}

func readCases(t *testing.T, path string) []goldenCase {
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
	var cases []goldenCase
	for r := bufio.NewReader(z); ; {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			var c goldenCase
			if err := json.Unmarshal(line, &c); err != nil {
				t.Fatalf("%s, case %d: %v", path, len(cases), err)
			}
			cases = append(cases, c)
		}
		if errors.Is(err, io.EOF) {
			return cases
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// check compares one golden case.
func (c goldenCase) check(t *testing.T, tok Tokenizer) {
	t.Helper()
	if c.Kind == "encode" {
		if got := tok.Encode(c.Text); !slices.Equal(got, c.IDs) {
			t.Errorf("Encode(%q)\n got %v\nwant %v", c.Text, got, c.IDs)
		}
		if got := tok.EncodeSpecial(c.Text); !slices.Equal(got, c.IDsSpecial) {
			t.Errorf("EncodeSpecial(%q)\n got %v\nwant %v", c.Text, got, c.IDsSpecial)
		}
		ids, spans := tok.EncodeOffsets(c.Text)
		if !slices.Equal(ids, c.IDs) {
			t.Errorf("EncodeOffsets(%q)\n got %v\nwant %v", c.Text, ids, c.IDs)
		}
		checkSpans(t, c.Text, spans, len(ids))
	}
	if got := tok.Decode(c.IDs); got != c.Decoded {
		t.Errorf("Decode(%v)\n got %q\nwant %q", c.IDs, got, c.Decoded)
	}
	if got := tok.DecodeSkip(c.IDs); got != c.DecodedSkip {
		t.Errorf("DecodeSkip(%v)\n got %q\nwant %q", c.IDs, got, c.DecodedSkip)
	}
}

// checkSpans wants one span a token, inside the text, with rising ends.
func checkSpans(t *testing.T, text string, spans [][2]int, tokens int) {
	t.Helper()
	if len(spans) != tokens {
		t.Errorf("%q: %d spans for %d tokens", text, len(spans), tokens)
	}
	end := 0
	for i, s := range spans {
		if s[0] < 0 || s[0] > s[1] || s[1] < end || s[1] > len(text) {
			t.Errorf("%q: span %d is %v in %d bytes, the one before ends at %d", text, i, s, len(text), end)
			return
		}
		end = s[1]
	}
}

// TestGolden checks the cases with the tokenizers, and with tokenizers made
// anew from the files that these would write.
func TestGolden(t *testing.T) {
	root := golden.Path(t)
	byName := map[string][]goldenCase{}
	for _, c := range readCases(t, filepath.Join(root, "golden/tokenizers/cases.jsonl.gz")) {
		byName[c.Tokenizer] = append(byName[c.Tokenizer], c)
	}
	if len(byName) == 0 {
		t.Fatal("no golden cases")
	}
	for name, cases := range byName {
		t.Run(name, func(t *testing.T) {
			tok := goldenTokenizer(t, root, name)
			again := reload(t, tok)
			kinds := map[string]int{}
			for _, c := range cases {
				c.check(t, tok)
				c.check(t, again)
				kinds[c.Kind]++
			}
			if kinds["encode"] == 0 || kinds["decode"] == 0 || len(kinds) != 2 {
				t.Errorf("kinds of cases: %v, want some encode and some decode", kinds)
			}
		})
	}
}

// TestGoldenSizes compares the sizes of the vocabularies.
func TestGoldenSizes(t *testing.T) {
	root := golden.Path(t)
	data, err := os.ReadFile(filepath.Join(root, "golden/tokenizers/cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Tokenizers map[string]int `json:"tokenizers"`
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Tokenizers) == 0 {
		t.Fatal("no tokenizers in cases.json")
	}
	for name, size := range golden.Tokenizers {
		if got := goldenTokenizer(t, root, name).Size(); got != size {
			t.Errorf("%s: %d tokens, want %d", name, got, size)
		}
	}
}

// TestGoldenSentences checks WordPiece against the sentence encoder's ids,
// which are cut at 256.
func TestGoldenSentences(t *testing.T) {
	root := golden.Path(t)
	data, err := os.ReadFile(filepath.Join(root, "golden/encoder/golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Text string  `json:"text"`
		IDs  []int32 `json:"ids"`
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no golden sentences")
	}
	tok := loadDir(t, filepath.Join(root, "models/minilm-l6"))
	const longest = 256
	for _, c := range cases {
		got := tok.EncodeSpecial(c.Text)
		if len(got) > longest {
			got = append(got[:longest-1], got[len(got)-1])
		}
		if !slices.Equal(got, c.IDs) {
			t.Errorf("EncodeSpecial(%q)\n got %v\nwant %v", c.Text, got, c.IDs)
		}
		ids, spans := tok.EncodeOffsets(c.Text)
		checkSpans(t, c.Text, spans, len(ids))
	}
}

// TestGoldenVocabularies checks GGUF files that hold a vocabulary, with texts
// and ids beside them.
func TestGoldenVocabularies(t *testing.T) {
	root := golden.Path(t)
	folder := filepath.Join(root, "data/gguf")
	files, err := filepath.Glob(filepath.Join(folder, "*.gguf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no GGUF files in %s (%v)", folder, err)
	}
	checked := 0
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			tok := openGGUF(t, path)
			again := reload(t, tok)
			if again.Size() != tok.Size() || again.Kind() != tok.Kind() {
				t.Errorf("written and read again: %s of %d tokens, was %s of %d", again.Kind(), again.Size(), tok.Kind(), tok.Size())
			}
			input, err := os.ReadFile(path + ".inp")
			if errors.Is(err, fs.ErrNotExist) {
				return // no expected ids for this one
			}
			if err != nil {
				t.Fatal(err)
			}
			output, err := os.ReadFile(path + ".out")
			if err != nil {
				t.Fatal(err)
			}
			texts := strings.Split(string(input), "\n__ggml_vocab_test__\n")
			lines := strings.Split(string(output), "\n")
			if len(texts) != len(lines) {
				t.Fatalf("%d texts, %d lines of ids", len(texts), len(lines))
			}
			for i, text := range texts {
				want := parseIDs(t, lines[i])
				if got := tok.Encode(text); !slices.Equal(got, want) {
					t.Errorf("Encode(%q)\n got %v\nwant %v", text, got, want)
				}
				if got := again.Encode(text); !slices.Equal(got, want) {
					t.Errorf("written and read again, Encode(%q)\n got %v\nwant %v", text, got, want)
				}
				checked++
			}
		})
	}
	if checked == 0 {
		t.Error("no texts with expected ids")
	}
}

func parseIDs(t *testing.T, line string) []int32 {
	t.Helper()
	var ids []int32
	for _, field := range strings.Fields(line) {
		id, err := strconv.ParseInt(field, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, int32(id))
	}
	return ids
}

// reload makes a tokenizer of the files that tok would write.
func reload(t *testing.T, tok Tokenizer) Tokenizer {
	t.Helper()
	dir := t.TempDir()
	for name, data := range tok.Files() {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := loadDir(t, dir)
	for _, end := range []struct {
		name string
		of   func(Tokenizer) (int32, bool)
	}{{"BOS", Tokenizer.BOS}, {"EOS", Tokenizer.EOS}} {
		id, ok := end.of(tok)
		if got, gotOK := end.of(again); got != id || gotOK != ok {
			t.Errorf("%s is %d (%t), written and read again %d (%t)", end.name, id, ok, got, gotOK)
		}
	}
	return again
}
