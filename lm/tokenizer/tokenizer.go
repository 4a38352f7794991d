package tokenizer

import (
	"maps"
	"slices"
)

// Tokenizer maps text to token ids and back. Implementations are immutable and
// safe for concurrent use.
type Tokenizer interface {
	// Encode returns the ids of text without tokens that the tokenizer adds.
	// Special tokens that stand in the text literally are recognised.
	Encode(text string) []int32
	// EncodeSpecial is Encode with the tokens that the tokenizer adds around a
	// text (a start token, [CLS] and [SEP], …), if it adds any.
	EncodeSpecial(text string) []int32
	// EncodePrompt is EncodeSpecial for a text that shall go on: nothing is put
	// behind it, and one that is spelt with its start token already, as chat
	// templates spell theirs, does not get a second one.
	EncodePrompt(text string) []int32
	// EncodeOffsets is Encode with the bytes [start, end) of text that each
	// token stands for. A token that holds a part of a character covers just
	// that part where the text was not rewritten, and otherwise all that the
	// rewritten character came from. Tokens that stand for nothing in the text
	// (a prefixed space) have start == end.
	EncodeOffsets(text string) (ids []int32, spans [][2]int)
	// Decode returns the text of ids. Ids outside the vocabulary are skipped;
	// bytes that are not UTF-8 become U+FFFD.
	Decode(ids []int32) string
	// DecodeSkip is Decode without special tokens.
	DecodeSkip(ids []int32) string
	// Size is one more than the largest id.
	Size() int
	// Token returns a token as the vocabulary spells it (byte-level
	// vocabularies spell a space "Ġ"), false for an id that has none.
	Token(id int32) (string, bool)
	// ID is the inverse of Token.
	ID(token string) (int32, bool)
	// BOS returns the token that begins a text, false if there is none.
	BOS() (int32, bool)
	// EOS returns the token that ends a text, false if there is none.
	EOS() (int32, bool)
	// Kind describes the algorithm in words, such as "byte-level BPE".
	Kind() string
	// Notes says, a line each, what loading had to assume because the files
	// leave it open.
	Notes() []string
	// Files returns the files, by name, that make a Hugging Face folder load
	// an equal tokenizer. The contents must not be modified.
	Files() map[string][]byte
}

// model cuts one word into tokens.
type model interface {
	tokenize(w *work, word string)
	kind() string
}

// symbol is a token and the bytes of its word that it stands for.
type symbol struct {
	id         int32
	start, end int32
}

// work is the memory that one call of Encode reuses from word to word.
type work struct {
	symbols []symbol
	prev    []int32
	next    []int32
	queue   []candidate
	letters []byte
	pieces  []aligned
	spare   []aligned
}

// pipeline is the one implementation of Tokenizer.
type pipeline struct {
	words  map[string]int32 // the model's vocabulary
	extra  map[string]int32 // added tokens, in the model's vocabulary or not
	tokens []string         // by id
	known  []bool           // by id: false in a gap
	skip   []bool           // by id: special

	literal    *matcher // added tokens, found in the raw text
	normalized *matcher // added tokens, found in the normalised text

	normalizers []normalizer
	splitters   []splitter
	model       model
	cache       *cache // nil if words are not cached
	decoders    []decoder

	prefix, suffix []int32 // what EncodeSpecial adds
	bos, eos       int32   // -1: none

	notes []string
	files map[string][]byte
}

var _ Tokenizer = (*pipeline)(nil)

// run is the state of one encoding.
type run struct {
	p     *pipeline
	w     work
	track bool // want spans
	ids   []int32
	spans [][2]int
}

func (p *pipeline) Encode(text string) []int32 {
	r := run{p: p}
	r.text(text)
	return r.ids
}

func (p *pipeline) EncodeSpecial(text string) []int32 {
	r := run{p: p, ids: append([]int32(nil), p.prefix...)}
	r.text(text)
	return append(r.ids, p.suffix...)
}

func (p *pipeline) EncodePrompt(text string) []int32 {
	prefix := p.prefix
	ids := p.Encode(text)
	if n := len(prefix); n > 0 && prefix[n-1] == p.bos && len(ids) > 0 && ids[0] == p.bos {
		prefix = prefix[:n-1]
	}
	return slices.Concat(prefix, ids)
}

func (p *pipeline) EncodeOffsets(text string) (ids []int32, spans [][2]int) {
	r := run{p: p, track: true}
	r.text(text)
	return r.ids, r.spans
}

func (r *run) text(text string) {
	r.p.literal.split(text, func(lo, hi int, id int32) {
		if id >= 0 {
			r.emit(id, lo, hi)
			return
		}
		r.segment(aligned{s: text[lo:hi], base: lo, first: lo == 0})
	})
}

func (r *run) emit(id int32, lo, hi int) {
	r.ids = append(r.ids, id)
	if r.track {
		r.spans = append(r.spans, [2]int{lo, hi})
	}
}

// segment encodes text between tokens found literally.
func (r *run) segment(a aligned) {
	for _, n := range r.p.normalizers {
		a = n(a, r.track)
	}
	r.p.normalized.split(a.s, func(lo, hi int, id int32) {
		part := a.slice(lo, hi)
		if id >= 0 {
			lo, hi = part.span(0, len(part.s))
			r.emit(id, lo, hi)
			return
		}
		pieces := append(r.w.pieces[:0], part)
		spare := r.w.spare
		for _, split := range r.p.splitters {
			out := spare[:0]
			for _, piece := range pieces {
				out = split(out, piece, r.track)
			}
			pieces, spare = out, pieces
		}
		r.w.pieces, r.w.spare = pieces, spare
		for _, piece := range pieces {
			if piece.s != "" {
				r.word(piece)
			}
		}
	})
}

func (r *run) word(a aligned) {
	cached := !r.track && r.p.cache.takes(a.s)
	if cached {
		if ids, ok := r.p.cache.get(a.s); ok {
			r.ids = append(r.ids, ids...)
			return
		}
	}
	r.w.symbols = r.w.symbols[:0]
	r.p.model.tokenize(&r.w, a.s)
	first := len(r.ids)
	for _, s := range r.w.symbols {
		var lo, hi int
		if r.track {
			lo, hi = a.span(int(s.start), int(s.end))
		}
		r.emit(s.id, lo, hi)
	}
	if cached {
		r.p.cache.put(a.s, r.ids[first:])
	}
}

func (p *pipeline) Decode(ids []int32) string     { return p.decode(ids, false) }
func (p *pipeline) DecodeSkip(ids []int32) string { return p.decode(ids, true) }

func (p *pipeline) decode(ids []int32, skip bool) string {
	texts := make([]string, 0, len(ids))
	for _, id := range ids {
		if token, ok := p.Token(id); ok && !(skip && p.skip[id]) {
			texts = append(texts, token)
		}
	}
	for _, d := range p.decoders {
		texts = d(texts)
	}
	return join(texts)
}

func (p *pipeline) Size() int { return len(p.tokens) }

func (p *pipeline) Token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(p.tokens) || !p.known[id] {
		return "", false
	}
	return p.tokens[id], true
}

func (p *pipeline) ID(token string) (int32, bool) {
	if id, ok := p.extra[token]; ok {
		return id, true
	}
	id, ok := p.words[token]
	return id, ok
}

func (p *pipeline) BOS() (int32, bool)       { return max(p.bos, 0), p.bos >= 0 }
func (p *pipeline) EOS() (int32, bool)       { return max(p.eos, 0), p.eos >= 0 }
func (p *pipeline) Kind() string             { return p.model.kind() }
func (p *pipeline) Notes() []string          { return slices.Clone(p.notes) }
func (p *pipeline) Files() map[string][]byte { return maps.Clone(p.files) }
