package tokenizer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Metadata is what FromGGUF needs of a GGUF file: values by key, as string,
// bool, any integer or float kind, and slices of these.
type Metadata interface {
	Get(key string) (any, bool)
}

// Types of tokens in GGUF files.
const (
	ggufNormal  = 1
	ggufUnknown = 2
	ggufControl = 3
	ggufUser    = 4
	ggufUnused  = 5
	ggufByte    = 6
)

// longestPiece is the length in bytes up to which SentencePiece tokens are
// taken apart to find their merges; published ones are far shorter.
const longestPiece = 512

// FromGGUF builds the tokenizer that a GGUF file describes under
// tokenizer.ggml.*; file is its name in errors. Models are "gpt2" (byte-level
// BPE) and "llama" (SentencePiece BPE by scores).
//
// pre stands in for tokenizer.ggml.pre; "" takes the file's. Where that is
// missing or "default", the family is recognised by tokens of its own, else
// GPT-2's is taken; Notes says which. "qwen2" normalises to NFC as the original
// does. A SentencePiece vocabulary is run by merges in the order of scores, the
// conversion that Hugging Face uses too.
func FromGGUF(meta Metadata, file, pre string) (Tokenizer, error) {
	p, err := fromGGUF(&ggufReader{meta: meta, pre: pre})
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", file, err)
	}
	return p, nil
}

func fromGGUF(r *ggufReader) (*pipeline, error) {
	kind, err := r.text("tokenizer.ggml.model")
	if err != nil {
		return nil, err
	}
	tokens, types, err := r.vocabulary()
	if err != nil {
		return nil, err
	}
	m := modelSpec{Type: "BPE", Vocab: make(map[string]int32, len(tokens))}
	var s spec
	for id, token := range tokens {
		if other, ok := m.Vocab[token]; ok {
			return nil, fmt.Errorf("tokenizer.ggml.tokens: tokens %d and %d are both %q", other, id, token)
		}
		m.Vocab[token] = int32(id)
		switch types[id] {
		case ggufUnknown, ggufControl, ggufUser:
			s.AddedTokens = append(s.AddedTokens,
				addedToken{ID: int32(id), Content: token, Special: types[id] != ggufUser})
		}
	}
	addBOS := false
	switch kind {
	case "gpt2":
		addBOS, err = r.byteLevel(&s, &m)
	case "llama":
		addBOS, err = true, r.sentencePiece(&s, &m, tokens, types)
	default:
		err = fmt.Errorf("tokenizer.ggml.model %q is not supported (want gpt2 or llama)", kind)
	}
	if err != nil {
		return nil, err
	}
	st, err := r.settings(tokens)
	if err != nil {
		return nil, err
	}
	var before, after string
	if r.flag("tokenizer.ggml.add_bos_token", addBOS) && st.BOS != nil {
		before = string(*st.BOS)
	}
	if r.flag("tokenizer.ggml.add_eos_token", false) && st.EOS != nil {
		after = string(*st.EOS)
	}
	s.PostProcessor = template(m.Vocab, before, after)
	p, err := construct(s, m, st, nil)
	if err != nil {
		return nil, err
	}
	more := map[string]any{}
	if st.Unknown != nil {
		more["unk_token"] = *st.Unknown
	}
	if st.Pad != nil {
		more["pad_token"] = *st.Pad
	}
	if chat, err := r.text("tokenizer.chat_template"); err == nil {
		more["chat_template"] = chat
	}
	p.files[fileConfig], err = p.config(more)
	p.notes = append(p.notes, r.notes...)
	return p, err
}

// byteLevel fills in merges and pre-tokenizer, and says whether a text gets a
// start token where the file does not.
func (r *ggufReader) byteLevel(s *spec, m *modelSpec) (addBOS bool, err error) {
	lines, err := ggufSlice[string](r, "tokenizer.ggml.merges")
	if err != nil {
		return false, err
	}
	if m.Merges, err = parseMerges(lines); err != nil {
		return false, fmt.Errorf("tokenizer.ggml.merges: %w", err)
	}
	m.Merges = firstOfEach(m.Merges)
	s.Decoder = json.RawMessage(partByteLevel)
	known, err := r.preTokenizer(m.Vocab)
	if err != nil {
		return false, err
	}
	s.PreTokenizer, m.IgnoreMerges = sequence(known.parts...), known.wholeWords
	if len(known.parts) == 1 {
		s.PreTokenizer = json.RawMessage(known.parts[0])
	}
	if known.nfc {
		s.Normalizer = json.RawMessage(partNFC)
	}
	return known.addBOS, nil
}

// firstOfEach drops merges that were there before.
func firstOfEach(pairs []pairText) []pairText {
	seen := make(map[pairText]bool, len(pairs))
	return slices.DeleteFunc(pairs, func(p pairText) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
}

// sentencePiece fills in merges made from the scores, and the spelling of
// spaces.
func (r *ggufReader) sentencePiece(s *spec, m *modelSpec, tokens []string, types []int64) error {
	scores, err := r.floats("tokenizer.ggml.scores")
	if err != nil {
		return err
	}
	if len(scores) != len(tokens) {
		return fmt.Errorf("tokenizer.ggml.scores has %d values for %d tokens", len(scores), len(tokens))
	}
	m.Merges = mergesByScore(m.Vocab, tokens, types, scores)
	m.ByteFallback, m.FuseUnknown = true, true
	unknown, err := r.token("tokenizer.ggml.unknown_token_id", tokens)
	if err != nil {
		return err
	}
	if unknown == nil {
		if i := slices.Index(types, ggufUnknown); i >= 0 {
			name := tokenName(tokens[i])
			unknown = &name
		}
	}
	m.Unknown = (*string)(unknown)
	s.Normalizer, s.Decoder = json.RawMessage(partPrefixSpaces), json.RawMessage(partDecodeStarted)
	if !r.flag("tokenizer.ggml.add_space_prefix", true) {
		s.Normalizer, s.Decoder = json.RawMessage(partSpaces), json.RawMessage(partDecode)
	}
	return nil
}

// mergesByScore lists every way to make a token of two others, best score
// first.
func mergesByScore(vocab map[string]int32, tokens []string, types []int64, scores []float64) []pairText {
	type scored struct {
		score           float64
		id, left, right int32
	}
	ordinary := func(id int32) bool { return types[id] == ggufNormal || types[id] == ggufUnused }
	var all []scored
	for i, token := range tokens {
		id := int32(i)
		if !ordinary(id) || len(token) > longestPiece {
			continue
		}
		_, at := utf8.DecodeRuneInString(token)
		for at < len(token) {
			left, okLeft := vocab[token[:at]]
			right, okRight := vocab[token[at:]]
			if okLeft && okRight && ordinary(left) && ordinary(right) {
				all = append(all, scored{scores[i], id, left, right})
			}
			_, n := utf8.DecodeRuneInString(token[at:])
			at += n
		}
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.id, b.id),
			cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
	})
	pairs := make([]pairText, len(all))
	for i, x := range all {
		pairs[i] = pairText{tokens[x.left], tokens[x.right]}
	}
	return pairs
}
