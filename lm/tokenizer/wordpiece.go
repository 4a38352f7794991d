package tokenizer

import "unicode/utf8"

// wordPiece cuts a word greedily into the longest tokens; those that do not
// begin the word carry a prefix. A word that cannot be cut is unknown as a
// whole.
type wordPiece struct {
	vocab   map[string]int32
	prefix  string // of tokens inside a word, "##"
	unknown int32
	longest int // word in characters that is tried at all
	widest  int // token in bytes
}

func newWordPiece(vocab map[string]int32, prefix string, unknown int32, longest int) *wordPiece {
	m := &wordPiece{vocab: vocab, prefix: prefix, unknown: unknown, longest: longest}
	for token := range vocab {
		m.widest = max(m.widest, len(token))
	}
	return m
}

func (m *wordPiece) kind() string { return "WordPiece" }

func (m *wordPiece) tokenize(w *work, word string) {
	if utf8.RuneCountInString(word) > m.longest || !m.cut(w, word) {
		w.symbols = append(w.symbols[:0], symbol{m.unknown, 0, int32(len(word))})
	}
}

func (m *wordPiece) cut(w *work, word string) bool {
	for at := 0; at < len(word); {
		end := min(len(word), at+m.widest)
		id, found := int32(0), false
		for ; end > at; end-- {
			if end < len(word) && !utf8.RuneStart(word[end]) {
				continue
			}
			w.letters = w.letters[:0]
			if at > 0 {
				w.letters = append(w.letters, m.prefix...)
			}
			w.letters = append(w.letters, word[at:end]...)
			if id, found = m.vocab[string(w.letters)]; found {
				break
			}
		}
		if !found {
			return false
		}
		w.symbols = append(w.symbols, symbol{id, int32(at), int32(end)})
		at = end
	}
	return true
}
