package tokenizer

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// Train makes a byte-level BPE vocabulary of at most vocabSize tokens from
// texts, with GPT-2's pre-tokenizer: the special tokens first (ids 0, 1, …),
// then the 256 bytes, then merges, the most frequent pair first and of equally
// frequent ones that of the smallest ids. It stops early when no pair occurs
// twice, so the vocabulary may be smaller than asked for. The result depends
// on the arguments alone. A special token named <s>, </s>, <bos>, <eos>,
// <|endoftext|> or the like becomes the start or end token.
func Train(texts []string, vocabSize int, special []string) (Tokenizer, error) {
	if least := 256 + len(special); vocabSize < least {
		return nil, fmt.Errorf("tokenizer: vocabulary of %d tokens is too small, want at least %d (256 bytes and the special tokens)", vocabSize, least)
	}
	m := modelSpec{Type: "BPE", Vocab: make(map[string]int32, len(special)+256)}
	var added []addedToken
	for i, token := range special {
		if _, ok := m.Vocab[token]; ok || token == "" {
			return nil, fmt.Errorf("tokenizer: special token %d (%q) is empty or was there before", i, token)
		}
		m.Vocab[token] = int32(i)
		added = append(added, addedToken{ID: int32(i), Content: token, Special: true})
	}
	t := trainer{vocab: m.Vocab, special: len(special), pairs: map[uint64]*pairCount{}}
	t.names = append(t.names, special...)
	for b := range 256 {
		letter := string(byteLetter(byte(b)))
		if _, ok := m.Vocab[letter]; ok {
			return nil, fmt.Errorf("tokenizer: special token %q is the letter of a byte; make it longer", letter)
		}
		t.add(letter)
	}
	t.count(texts, newMatcher(added))
	for len(t.names) < vocabSize {
		pair, ok := t.best()
		if !ok {
			break
		}
		t.merge(pair)
	}
	m.Merges = t.merges
	if m.Merges == nil {
		m.Merges = pairList{}
	}
	p, err := construct(spec{
		AddedTokens:  added,
		PreTokenizer: json.RawMessage(partByteLevel),
		Decoder:      json.RawMessage(partByteLevel),
	}, m, settings{}, nil)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: trained vocabulary: %w", err)
	}
	return p, nil
}

// trainer holds the words seen, cut into the tokens made so far.
type trainer struct {
	vocab   map[string]int32
	special int      // names below this are special
	names   []string // by id
	merges  pairList

	words []trainWord
	pairs map[uint64]*pairCount
	queue pairQueue
}

type trainWord struct {
	ids   []int32
	times int
}

// pairCount says how often a pair occurs, and in which words (some of them
// perhaps no longer).
type pairCount struct {
	times int
	words []int32
}

func (t *trainer) add(name string) int32 {
	id := int32(len(t.names))
	t.vocab[name] = id
	t.names = append(t.names, name)
	return id
}

// count fills in words, in the order of their first occurrence, and pairs.
func (t *trainer) count(texts []string, special *matcher) {
	index := map[string]int{}
	for _, text := range texts {
		special.split(text, func(lo, hi int, id int32) {
			for id < 0 && lo < hi {
				n := scanGPT2(text[lo:hi])
				word := text[lo : lo+n]
				lo += n
				if i, ok := index[word]; ok {
					t.words[i].times++
					continue
				}
				index[word] = len(t.words)
				ids := make([]int32, len(word))
				for i := range ids {
					ids[i] = int32(t.special) + int32(word[i])
				}
				t.words = append(t.words, trainWord{ids, 1})
			}
		})
	}
	for i := range t.words {
		t.recount(int32(i), 1, nil)
	}
	for key, c := range t.pairs {
		t.queue = append(t.queue, queuedPair{c.times, key})
	}
	heap.Init(&t.queue)
}

// recount adds sign times the pairs of a word, and notes them in touched.
func (t *trainer) recount(word int32, sign int, touched map[uint64]bool) {
	w := t.words[word]
	for i := 1; i < len(w.ids); i++ {
		key := pairKey(w.ids[i-1], w.ids[i])
		c := t.pairs[key]
		if c == nil {
			c = &pairCount{}
			t.pairs[key] = c
		}
		c.times += sign * w.times
		if n := len(c.words); sign > 0 && (n == 0 || c.words[n-1] != word) {
			c.words = append(c.words, word)
		}
		if touched != nil {
			touched[key] = true
		}
	}
}

// best takes the most frequent pair off the queue, false if none is left that
// occurs twice.
func (t *trainer) best() (uint64, bool) {
	for t.queue.Len() > 0 {
		top := heap.Pop(&t.queue).(queuedPair)
		if top.times < 2 {
			return 0, false
		}
		if c := t.pairs[top.key]; c == nil || c.times != top.times {
			continue // counted anew since
		}
		left, right := t.names[top.key>>32], t.names[uint32(top.key)]
		if id, ok := t.vocab[left+right]; ok && int(id) < t.special {
			continue // would spell a special token
		}
		return top.key, true
	}
	return 0, false
}

// merge makes one token of a pair, in all words.
func (t *trainer) merge(pair uint64) {
	left, right := int32(pair>>32), int32(uint32(pair))
	name := t.names[left] + t.names[right]
	id, ok := t.vocab[name]
	if !ok {
		id = t.add(name)
	}
	t.merges = append(t.merges, pairText{t.names[left], t.names[right]})
	touched := map[uint64]bool{}
	for _, word := range t.pairs[pair].words {
		ids := t.words[word].ids
		if !hasPair(ids, left, right) {
			continue
		}
		t.recount(word, -1, touched)
		out := ids[:0]
		for i := 0; i < len(ids); i++ {
			if i+1 < len(ids) && ids[i] == left && ids[i+1] == right {
				out = append(out, id)
				i++
				continue
			}
			out = append(out, ids[i])
		}
		t.words[word].ids = out
		t.recount(word, 1, touched)
	}
	delete(t.pairs, pair)
	delete(touched, pair)
	for key := range touched {
		if times := t.pairs[key].times; times > 0 {
			heap.Push(&t.queue, queuedPair{times, key})
		} else {
			delete(t.pairs, key)
		}
	}
}

func hasPair(ids []int32, left, right int32) bool {
	for i := 1; i < len(ids); i++ {
		if ids[i-1] == left && ids[i] == right {
			return true
		}
	}
	return false
}

// queuedPair is a pair with the count it had when it was queued.
type queuedPair struct {
	times int
	key   uint64
}

// pairQueue is a heap, the most frequent pair of the smallest ids on top.
type pairQueue []queuedPair

func (q pairQueue) Len() int { return len(q) }
func (q pairQueue) Less(i, j int) bool {
	if q[i].times != q[j].times {
		return q[i].times > q[j].times
	}
	return q[i].key < q[j].key
}
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *pairQueue) Push(x any)   { *q = append(*q, x.(queuedPair)) }
func (q *pairQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// sortedByID lists the tokens of a vocabulary by id, of equal ids by name.
func sortedByID(vocab map[string]int32) []string {
	names := make([]string, 0, len(vocab))
	for name := range vocab {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := names[i], names[j]
		if vocab[a] != vocab[b] {
			return vocab[a] < vocab[b]
		}
		return strings.Compare(a, b) < 0
	})
	return names
}
