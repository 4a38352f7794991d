package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// spec is a tokenizer.json. Every tokenizer of this package is built from one.
type spec struct {
	Version       string          `json:"version"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// modelSpec is the model part, of BPE and WordPiece alike.
type modelSpec struct {
	Type         string           `json:"type"`
	Unknown      *string          `json:"unk_token"`
	Prefix       *string          `json:"continuing_subword_prefix"`
	Suffix       *string          `json:"end_of_word_suffix"`
	FuseUnknown  bool             `json:"fuse_unk"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges,omitempty"`
	LongestWord  int              `json:"max_input_chars_per_word,omitempty"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       pairList         `json:"merges"`
}

// pairList reads merges written as ["a b", …] or [["a", "b"], …] and writes
// the former, which every version of the library reads.
type pairList []pairText

func (p *pairList) UnmarshalJSON(data []byte) error {
	var joined []string
	if json.Unmarshal(data, &joined) == nil {
		list, err := parseMerges(joined)
		*p = list
		return err
	}
	var apart [][]string
	if err := json.Unmarshal(data, &apart); err != nil {
		return errors.New(`merges are neither strings "a b" nor pairs ["a", "b"]`)
	}
	*p = make(pairList, len(apart))
	for i, pair := range apart {
		if len(pair) != 2 {
			return fmt.Errorf("merge %d has %d parts, want 2", i, len(pair))
		}
		(*p)[i] = pairText{pair[0], pair[1]}
	}
	return nil
}

func (p pairList) MarshalJSON() ([]byte, error) {
	joined := make([]string, len(p))
	for i, pair := range p {
		joined[i] = pair[0] + " " + pair[1]
	}
	return marshal(joined)
}

func parseMerges(lines []string) ([]pairText, error) {
	pairs := make([]pairText, len(lines))
	for i, line := range lines {
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return nil, fmt.Errorf("merge %d (%q) is not two tokens with one space between", i, line)
		}
		pairs[i] = pairText{left, right}
	}
	return pairs, nil
}

// marshal is json.Marshal without escapes for HTML.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// FromJSON builds the tokenizer of a tokenizer.json (not compressed); file is
// its name in errors. Models BPE and WordPiece are known, with the parts that
// published tokenizers of these kinds have; anything else is an error that
// names it. The start and end tokens are found by their usual names, for the
// file does not say.
func FromJSON(data []byte, file string) (Tokenizer, error) {
	p, err := parseSpec(data, settings{})
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", file, err)
	}
	p.guessEnds()
	if err := p.describe(data, nil); err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", file, err)
	}
	return p, nil
}

func parseSpec(data []byte, st settings) (*pipeline, error) {
	var s spec
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: %w", err)
	}
	var head struct {
		Type string `json:"type"`
	}
	if len(s.Model) == 0 {
		return nil, errors.New(`no "model" in it; is it a tokenizer.json?`)
	}
	if err := json.Unmarshal(s.Model, &head); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	switch head.Type {
	case "BPE", "WordPiece", "":
	default:
		return nil, fmt.Errorf("model type %q is not supported (want BPE or WordPiece)", head.Type)
	}
	var m modelSpec
	if err := json.Unmarshal(s.Model, &m); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if m.Type == "" { // files older than the field
		m.Type = "BPE"
		if m.Merges == nil {
			m.Type = "WordPiece"
		}
	}
	if err := s.addNamed(m, st); err != nil {
		return nil, err
	}
	return s.build(m)
}

// addNamed adds the tokens that the other files name and the list of added tokens
// lacks, as transformers does when it loads them: those of added_tokens_decoder,
// and the special ones. Of the latter, only the ends of a text get a new id where
// the vocabulary lacks them.
func (s *spec) addNamed(m modelSpec, st settings) error {
	listed := func(name string) bool {
		return slices.ContainsFunc(s.AddedTokens, func(t addedToken) bool { return t.Content == name })
	}
	beside, err := st.added()
	if err != nil {
		return err
	}
	for _, t := range beside {
		if !listed(t.Content) {
			t.ID = s.next(m) // or the vocabulary's
			s.AddedTokens = append(s.AddedTokens, t)
		}
	}
	for _, name := range st.special() {
		if id, ok := m.Vocab[name]; ok && !listed(name) {
			s.AddedTokens = append(s.AddedTokens, addedToken{ID: id, Content: name, Special: true})
		}
	}
	for _, name := range st.missing(func(name string) bool { _, known := m.Vocab[name]; return known || listed(name) }) {
		s.AddedTokens = append(s.AddedTokens, addedToken{ID: s.next(m), Content: name, Special: true})
	}
	return nil
}

// next is the id of the first token to be added.
func (s *spec) next(m modelSpec) int32 {
	top := int32(-1)
	for _, id := range m.Vocab {
		top = max(top, id)
	}
	for _, t := range s.AddedTokens {
		top = max(top, t.ID)
	}
	return top + 1
}

// build makes the pipeline of s with the model m.
func (s *spec) build(m modelSpec) (*pipeline, error) {
	if g := max(growth(s.Normalizer), growth(s.Decoder)); g > mostGrowth {
		return nil, fmt.Errorf("its Replace parts can make a text %.0f times as long (at most %d is accepted)", g, mostGrowth)
	}
	p := &pipeline{words: m.Vocab, bos: -1, eos: -1}
	if err := p.setVocabulary(s.AddedTokens); err != nil {
		return nil, err
	}
	var err error
	if p.normalizers, err = parseNormalizer(s.Normalizer); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	splitters, byteLevel, err := parsePreTokenizer(s.PreTokenizer)
	if err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	p.splitters = splitters
	if p.decoders, err = parseDecoder(s.Decoder); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	if p.prefix, p.suffix, err = parsePostProcessor(s.PostProcessor); err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	for _, id := range append(append([]int32(nil), p.prefix...), p.suffix...) {
		if _, ok := p.Token(id); !ok {
			return nil, fmt.Errorf("post_processor: adds token %d, which the vocabulary lacks", id)
		}
	}
	if p.model, err = p.newModel(m, byteLevel); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	p.setMatchers(s.AddedTokens)
	return p, nil
}

func (p *pipeline) newModel(m modelSpec, byteLevel bool) (model, error) {
	unknown := int32(-1)
	if m.Unknown != nil && *m.Unknown != "" {
		id, ok := p.words[*m.Unknown]
		if !ok {
			return nil, fmt.Errorf("unk_token %q is not in the vocabulary", *m.Unknown)
		}
		unknown = id
	}
	if m.Type == "WordPiece" {
		if unknown < 0 {
			return nil, errors.New("WordPiece needs an unk_token")
		}
		prefix, longest := "##", 100
		if m.Prefix != nil {
			prefix = *m.Prefix
		}
		if m.LongestWord > 0 {
			longest = m.LongestWord
		}
		return newWordPiece(p.words, prefix, unknown, longest), nil
	}
	if m.Prefix != nil && *m.Prefix != "" {
		return nil, fmt.Errorf("continuing_subword_prefix %q is not supported for BPE", *m.Prefix)
	}
	if m.Suffix != nil && *m.Suffix != "" {
		return nil, fmt.Errorf("end_of_word_suffix %q is not supported for BPE", *m.Suffix)
	}
	b, err := newBPE(p.words, m.Merges, byteLevel)
	if err != nil {
		return nil, err
	}
	b.unknown, b.fuseUnknown = unknown, m.FuseUnknown
	b.byteFallback, b.wholeWords = m.ByteFallback, m.IgnoreMerges
	p.cache = newCache()
	return b, nil
}

// setVocabulary fills the tables by id. An added token that the vocabulary
// has already keeps the vocabulary's id.
func (p *pipeline) setVocabulary(added []addedToken) error {
	p.extra = make(map[string]int32, len(added))
	top, count := int32(-1), len(p.words)+len(added)
	for i := range added {
		t := &added[i]
		if id, ok := p.words[t.Content]; ok {
			t.ID = id
		}
		p.extra[t.Content] = t.ID
		top = max(top, t.ID)
	}
	for _, id := range p.words {
		top = max(top, id)
	}
	if limit := 2*count + 1024; int(top) >= limit {
		return fmt.Errorf("token id %d in a vocabulary of %d tokens: larger than %d, which cannot be right", top, count, limit)
	}
	p.tokens = make([]string, top+1)
	p.known = make([]bool, top+1)
	p.skip = make([]bool, top+1)
	set := func(token string, id int32) error {
		if id < 0 {
			return fmt.Errorf("token %q has the negative id %d", token, id)
		}
		if p.known[id] && p.tokens[id] != token {
			pair := []string{token, p.tokens[id]}
			sort.Strings(pair)
			return fmt.Errorf("tokens %q and %q share the id %d", pair[0], pair[1], id)
		}
		p.tokens[id], p.known[id] = token, true
		return nil
	}
	for token, id := range p.words {
		if err := set(token, id); err != nil {
			return err
		}
	}
	for _, t := range added {
		if err := set(t.Content, t.ID); err != nil {
			return err
		}
		p.skip[t.ID] = p.skip[t.ID] || t.Special
	}
	return nil
}

// setMatchers parts added tokens into those looked for before and those looked
// for after normalising; the latter are normalised themselves.
func (p *pipeline) setMatchers(added []addedToken) {
	var before, after []addedToken
	for _, t := range added {
		if !t.Normalized {
			before = append(before, t)
			continue
		}
		a := aligned{s: t.Content, first: true}
		for _, n := range p.normalizers {
			a = n(a, false)
		}
		t.Content = a.s
		after = append(after, t)
	}
	p.literal, p.normalized = newMatcher(before), newMatcher(after)
}
