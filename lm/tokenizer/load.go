package tokenizer

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"keyhole.example/keyhole/internal/regular"
)

// Names of the files in a Hugging Face folder.
const (
	fileJSON     = "tokenizer.json"
	fileGzip     = "tokenizer.json.gz"
	fileVocab    = "vocab.json"
	fileMerges   = "merges.txt"
	fileConfig   = "tokenizer_config.json"
	filePieces   = "tokenizer.model"
	fileModel    = "config.json"
	fileSpecials = "special_tokens_map.json"
	fileAdded    = "added_tokens.json"
)

// largestFile bounds what is read of one file, after decompression, in bytes.
const largestFile = 256 << 20

// settings are what tokenizer_config.json and special_tokens_map.json say
// about tokens. A nil name was not mentioned, an empty one was null.
type settings struct {
	BOS            *tokenName `json:"bos_token"`
	EOS            *tokenName `json:"eos_token"`
	Unknown        *tokenName `json:"unk_token"`
	Pad            *tokenName `json:"pad_token"`
	Mask           *tokenName `json:"mask_token"`
	AddBOS         *bool      `json:"add_bos_token"`
	AddEOS         *bool      `json:"add_eos_token"`
	AddPrefixSpace bool       `json:"add_prefix_space"`
	Class          string     `json:"tokenizer_class"`

	AddedTokens json.RawMessage `json:"added_tokens_decoder"`
}

// special lists the special tokens that are named, by the files or, where they
// say nothing, by the class.
func (st *settings) special() []string {
	class, _ := replacing(st.Class)
	var out []string
	for _, t := range []struct {
		name  *tokenName
		usual string
	}{{st.BOS, class.bos}, {st.EOS, class.eos}, {st.Unknown, class.unknown}, {st.Pad, ""}, {st.Mask, ""}} {
		name := t.usual
		if t.name != nil {
			name = string(*t.name)
		}
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// added lists added_tokens_decoder {id: token} in the order of ids.
func (st *settings) added() ([]addedToken, error) {
	if st.AddedTokens == nil {
		return nil, nil
	}
	var all map[string]addedToken
	if err := json.Unmarshal(st.AddedTokens, &all); err != nil {
		return nil, fmt.Errorf("%s: added_tokens_decoder: %w", fileConfig, err)
	}
	out := make([]addedToken, 0, len(all))
	for id, t := range all {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s: added_tokens_decoder: %.40q is no id", fileConfig, id)
		}
		t.ID = int32(n)
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// tokenName is a token written as a string, as an object with its content, or
// as null.
type tokenName string

func (n *tokenName) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil { // null too
		*n = tokenName(s)
		return nil
	}
	var object struct {
		Content string `json:"content"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return fmt.Errorf("%.40q is neither a token nor an object with its content", data)
	}
	*n = tokenName(object.Content)
	return nil
}

// read takes over what a file says; null is told from nothing.
func (st *settings) read(data []byte) error {
	if err := json.Unmarshal(data, st); err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	null := func(name string, token **tokenName) {
		if string(fields[name]) == "null" {
			*token = new(tokenName)
		}
	}
	null("bos_token", &st.BOS)
	null("eos_token", &st.EOS)
	return nil
}

// Load reads the tokenizer of a Hugging Face folder: tokenizer.json, or
// tokenizer.json.gz, or vocab.json with merges.txt, or SentencePiece's
// tokenizer.model, in this order. Which tokens begin and end a text is taken
// from special_tokens_map.json and tokenizer_config.json where these are there,
// and what EncodeSpecial adds is what the tokenizer's class in transformers
// adds (see class.go).
func Load(dir string) (Tokenizer, error) {
	side := map[string][]byte{}
	var st settings
	for _, name := range []string{fileConfig, fileSpecials, fileAdded, fileChat} {
		data, err := readFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
		side[name] = data
		if name == fileAdded || name == fileChat || name == fileSpecials && st.AddedTokens != nil {
			continue // the config lists its tokens, and then counts
		}
		if err := st.read(data); err != nil {
			return nil, fmt.Errorf("tokenizer: %s: %w", filepath.Join(dir, name), err)
		}
	}
	if st.Class == "" {
		st.Class = classOfModel(dir)
	}
	for _, name := range []string{fileJSON, fileGzip} {
		path := filepath.Join(dir, name)
		data, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
		p, err := parseSpec(data, st)
		if err != nil {
			return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
		}
		p.setEnds(st)
		p.applyClass(st)
		if err := p.describe(data, side); err != nil {
			return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
		}
		return p, nil
	}
	path := filepath.Join(dir, fileVocab)
	vocab, err := readFile(path)
	if err == nil {
		var merges []byte
		if merges, err = readFile(filepath.Join(dir, fileMerges)); err == nil {
			return fromVocabMerges(vocab, merges, path, st, side)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		path := filepath.Join(dir, filePieces)
		pieces, missing := readFile(path)
		if missing == nil {
			return fromPieces(pieces, path, st, side)
		}
		if !errors.Is(missing, fs.ErrNotExist) {
			return nil, fmt.Errorf("tokenizer: %w", missing)
		}
		return nil, fmt.Errorf("tokenizer: %s has no tokenizer: looked for %s, %s, %s with %s, and %s: %w",
			dir, fileJSON, fileGzip, fileVocab, fileMerges, filePieces, err)
	}
	return nil, fmt.Errorf("tokenizer: %w", err)
}

// readFile reads a regular file, decompressed if its name ends in .gz.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening, which waits at a pipe
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	data, err := io.ReadAll(io.LimitReader(r, largestFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(data) > largestFile {
		return nil, fmt.Errorf("%s: larger than %d bytes, too large for a tokenizer", path, largestFile)
	}
	return data, nil
}

// FromVocabMerges builds a byte-level BPE tokenizer with GPT-2's pre-tokenizer
// from the contents of a vocab.json and a merges.txt; file is the former's
// name in errors. Special are <|endoftext|> or, where the vocabulary has no
// such token, those of <s> </s> <pad> <unk> <mask> that it has.
func FromVocabMerges(vocab, merges []byte, file string) (Tokenizer, error) {
	return fromVocabMerges(vocab, merges, file, settings{}, nil)
}

func fromVocabMerges(vocab, merges []byte, file string, st settings, side map[string][]byte) (Tokenizer, error) {
	m := modelSpec{Type: "BPE"}
	if err := json.Unmarshal(vocab, &m.Vocab); err != nil {
		return nil, fmt.Errorf("tokenizer: %s: not a vocabulary {token: id}: %w", file, err)
	}
	var err error
	if m.Merges, err = parseMergesText(merges); err != nil {
		return nil, fmt.Errorf("tokenizer: %s: merges: %w", file, err)
	}
	s := spec{PreTokenizer: json.RawMessage(partByteLevel), Decoder: json.RawMessage(partByteLevel)}
	if st.AddPrefixSpace {
		s.PreTokenizer = json.RawMessage(partByteLevelPrefix)
	}
	if s.AddedTokens, err = addedBeside(m.Vocab, st, side[fileAdded]); err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %s: %w", file, fileAdded, err)
	}
	before := ""
	if or(st.AddBOS, false) && st.BOS != nil { // add_eos_token means nothing to GPT-2's class
		if _, ok := m.Vocab[string(*st.BOS)]; ok {
			before = string(*st.BOS)
		}
	}
	s.PostProcessor = template(m.Vocab, before, "")
	files := map[string][]byte{fileVocab: vocab, fileMerges: merges}
	for name, data := range side {
		files[name] = data
	}
	p, err := construct(s, m, st, files)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", file, err)
	}
	return p, nil
}

// addedBeside lists the special tokens of a vocabulary without tokenizer.json,
// and those of its added_tokens.json {token: id}.
func addedBeside(vocab map[string]int32, st settings, added []byte) ([]addedToken, error) {
	var list []addedToken
	seen := map[string]bool{"": true}
	add := func(name string) {
		if id, ok := vocab[name]; ok && !seen[name] {
			list = append(list, addedToken{ID: id, Content: name, Special: true})
			seen[name] = true
		}
	}
	for _, name := range []*tokenName{st.BOS, st.EOS, st.Unknown, st.Pad, st.Mask} {
		if name != nil {
			add(string(*name))
		}
	}
	if len(list) == 0 {
		add("<|endoftext|>")
	}
	if len(list) == 0 {
		for _, name := range []string{"<s>", "</s>", "<pad>", "<unk>", "<mask>"} {
			add(name)
		}
	}
	if added == nil {
		return list, nil
	}
	var more map[string]int32
	if err := json.Unmarshal(added, &more); err != nil {
		return nil, err
	}
	for _, name := range sortedByID(more) {
		if !seen[name] {
			list = append(list, addedToken{ID: more[name], Content: name})
		}
	}
	return list, nil
}

// parseMergesText reads one merge a line, after a line with the version.
func parseMergesText(data []byte) ([]pairText, error) {
	var lines []string
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > 0 && !bytes.HasPrefix(line, []byte("#version")) {
			lines = append(lines, string(line))
		}
	}
	return parseMerges(lines)
}
