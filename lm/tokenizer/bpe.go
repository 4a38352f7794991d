package tokenizer

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// bpe is byte-pair encoding: a word starts as its characters (or bytes), and
// the neighbours whose merge has the lowest rank are joined until none is left.
type bpe struct {
	vocab  map[string]int32
	merges map[uint64]merge // by pairKey
	// first holds the token of each byte: its letter in byte-level
	// vocabularies, else <0xNN>; -1 if the vocabulary lacks it.
	first        [256]int32
	byteLevel    bool
	byteFallback bool // characters outside the vocabulary become bytes
	fuseUnknown  bool // neighbouring unknown characters become one token
	wholeWords   bool // a word that is a token needs no merges
	unknown      int32
}

type merge struct{ rank, id int32 }

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// pairText is a merge as files spell it.
type pairText [2]string

// newBPE binds merges, best first, to the vocabulary.
func newBPE(vocab map[string]int32, pairs []pairText, byteLevel bool) (*bpe, error) {
	m := &bpe{vocab: vocab, byteLevel: byteLevel, unknown: -1, merges: make(map[uint64]merge, len(pairs))}
	for rank, p := range pairs {
		left, ok := vocab[p[0]]
		if !ok {
			return nil, fmt.Errorf("merge %d (%q %q): token %q is not in the vocabulary", rank, p[0], p[1], p[0])
		}
		right, ok := vocab[p[1]]
		if !ok {
			return nil, fmt.Errorf("merge %d (%q %q): token %q is not in the vocabulary", rank, p[0], p[1], p[1])
		}
		joined, ok := vocab[p[0]+p[1]]
		if !ok {
			return nil, fmt.Errorf("merge %d (%q %q): token %q is not in the vocabulary", rank, p[0], p[1], p[0]+p[1])
		}
		m.merges[pairKey(left, right)] = merge{int32(rank), joined}
	}
	for b := range m.first {
		name := byteName(byte(b))
		if byteLevel {
			name = string(byteLetter(byte(b)))
		}
		m.first[b] = -1
		if id, ok := vocab[name]; ok {
			m.first[b] = id
		}
	}
	return m, nil
}

func (m *bpe) kind() string {
	switch {
	case m.byteLevel:
		return "byte-level BPE"
	case m.byteFallback:
		return "SentencePiece-style BPE with byte fallback"
	}
	return "character-level BPE"
}

// byteName is the token that stands for b in SentencePiece vocabularies.
func byteName(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// byteLetter is the letter that stands for b in byte-level vocabularies:
// printable Latin-1 characters stand for themselves, the rest for the
// characters from U+0100 on, in order.
func byteLetter(b byte) rune {
	switch {
	case b <= ' ':
		return 0x100 + rune(b)
	case b < 0x7f, b >= 0xa1 && b != 0xad:
		return rune(b)
	case b <= 0xa0:
		return 0x121 + rune(b-0x7f)
	}
	return 0x143
}

// letterByte is the inverse of byteLetter.
func letterByte(r rune) (byte, bool) {
	switch {
	case r > ' ' && r < 0x7f, r >= 0xa1 && r <= 0xff && r != 0xad:
		return byte(r), true
	case r >= 0x100 && r <= 0x120:
		return byte(r - 0x100), true
	case r >= 0x121 && r <= 0x142:
		return byte(r-0x121) + 0x7f, true
	case r == 0x143:
		return 0xad, true
	}
	return 0, false
}

func (m *bpe) tokenize(w *work, word string) {
	if m.wholeWords {
		if id, ok := m.whole(w, word); ok {
			w.symbols = append(w.symbols, symbol{id, 0, int32(len(word))})
			return
		}
	}
	if m.byteLevel {
		m.startBytes(w, word)
	} else {
		m.startCharacters(w, word)
	}
	m.join(w)
}

func (m *bpe) whole(w *work, word string) (int32, bool) {
	if !m.byteLevel {
		id, ok := m.vocab[word]
		return id, ok
	}
	w.letters = w.letters[:0]
	for i := range len(word) {
		w.letters = utf8.AppendRune(w.letters, byteLetter(word[i]))
	}
	id, ok := m.vocab[string(w.letters)]
	return id, ok
}

func (m *bpe) startBytes(w *work, word string) {
	for i := range len(word) {
		if id := m.first[word[i]]; id >= 0 {
			w.symbols = append(w.symbols, symbol{id, int32(i), int32(i + 1)})
			continue
		}
		m.addUnknown(w, i, i+1)
	}
}

func (m *bpe) startCharacters(w *work, word string) {
	for i := 0; i < len(word); {
		_, n := utf8.DecodeRuneInString(word[i:])
		if id, ok := m.vocab[word[i:i+n]]; ok {
			w.symbols = append(w.symbols, symbol{id, int32(i), int32(i + n)})
		} else if !m.byteFallback || !m.addBytes(w, word, i, n) {
			m.addUnknown(w, i, i+n)
		}
		i += n
	}
}

// addBytes adds the tokens of the bytes of a character, if there are all.
func (m *bpe) addBytes(w *work, word string, at, n int) bool {
	for i := at; i < at+n; i++ {
		if m.first[word[i]] < 0 {
			return false
		}
	}
	for i := at; i < at+n; i++ {
		w.symbols = append(w.symbols, symbol{m.first[word[i]], int32(i), int32(i + 1)})
	}
	return true
}

// addUnknown adds the unknown token, or drops the bytes where there is none.
func (m *bpe) addUnknown(w *work, lo, hi int) {
	if m.unknown < 0 {
		return
	}
	if n := len(w.symbols); m.fuseUnknown && n > 0 {
		if last := &w.symbols[n-1]; last.id == m.unknown && int(last.end) == lo {
			last.end = int32(hi)
			return
		}
	}
	w.symbols = append(w.symbols, symbol{m.unknown, int32(lo), int32(hi)})
}

// candidate is a possible merge of the symbol at pos with its successor. It is
// stale if these are no longer left and right.
type candidate struct {
	rank, pos       int32
	left, right, id int32
}

func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.pos < d.pos
}

// join merges the symbols of w. They form a linked list, candidates a heap.
func (m *bpe) join(w *work) {
	s := w.symbols
	n := int32(len(s))
	if n < 2 {
		return
	}
	w.prev, w.next, w.queue = w.prev[:0], w.next[:0], w.queue[:0]
	for i := range n {
		w.prev = append(w.prev, i-1)
		w.next = append(w.next, i+1)
	}
	consider := func(pos int32) {
		after := w.next[pos]
		if after >= n {
			return
		}
		if hit, ok := m.merges[pairKey(s[pos].id, s[after].id)]; ok {
			w.push(candidate{hit.rank, pos, s[pos].id, s[after].id, hit.id})
		}
	}
	for i := range n - 1 {
		consider(i)
	}
	const gone = -1
	for len(w.queue) > 0 {
		c := w.pop()
		if s[c.pos].id != c.left {
			continue
		}
		after := w.next[c.pos]
		if after >= n || s[after].id != c.right {
			continue
		}
		s[c.pos].id, s[c.pos].end = c.id, s[after].end
		s[after].id = gone
		w.next[c.pos] = w.next[after]
		if w.next[c.pos] < n {
			w.prev[w.next[c.pos]] = c.pos
		}
		consider(c.pos)
		if w.prev[c.pos] >= 0 {
			consider(w.prev[c.pos])
		}
	}
	kept := s[:0]
	for _, x := range s {
		if x.id != gone {
			kept = append(kept, x)
		}
	}
	w.symbols = kept
}

func (w *work) push(c candidate) {
	w.queue = append(w.queue, c)
	q := w.queue
	for i := len(q) - 1; i > 0; {
		up := (i - 1) / 2
		if !q[i].before(q[up]) {
			break
		}
		q[i], q[up] = q[up], q[i]
		i = up
	}
}

func (w *work) pop() candidate {
	q := w.queue
	top := q[0]
	last := len(q) - 1
	q[0] = q[last]
	q = q[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= len(q) {
			break
		}
		if down+1 < len(q) && q[down+1].before(q[down]) {
			down++
		}
		if !q[down].before(q[i]) {
			break
		}
		q[i], q[down] = q[down], q[i]
		i = down
	}
	w.queue = q
	return top
}

// cache remembers the ids of short words. When full it starts afresh, so that
// its size is bounded and it follows the text.
type cache struct {
	mu  sync.RWMutex
	ids map[string][]int32
}

const (
	cacheWords  = 1 << 16
	cacheLength = 32 // bytes of a word
)

func newCache() *cache { return &cache{ids: map[string][]int32{}} }

func (c *cache) takes(word string) bool { return c != nil && len(word) <= cacheLength }

func (c *cache) get(word string) ([]int32, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	ids, ok := c.ids[word]
	return ids, ok
}

func (c *cache) put(word string, ids []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ids) >= cacheWords {
		clear(c.ids)
	}
	c.ids[strings.Clone(word)] = append([]int32(nil), ids...)
}
