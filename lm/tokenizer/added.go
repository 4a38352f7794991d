package tokenizer

import (
	"sort"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text as it stands, before the
// model sees the rest. Fields are those of tokenizer.json.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// matcher finds added tokens: leftmost first, of those the longest.
type matcher struct {
	byFirst [256][]addedToken // longest first
	empty   bool
}

func newMatcher(tokens []addedToken) *matcher {
	m := &matcher{empty: true}
	for _, t := range tokens {
		if t.Content != "" {
			m.byFirst[t.Content[0]] = append(m.byFirst[t.Content[0]], t)
			m.empty = false
		}
	}
	for _, list := range m.byFirst {
		sort.SliceStable(list, func(i, j int) bool { return len(list[i].Content) > len(list[j].Content) })
	}
	return m
}

// at returns the longest token that stands at text[i:].
func (m *matcher) at(text string, i int) *addedToken {
	list := m.byFirst[text[i]]
	for k := range list {
		if c := list[k].Content; len(c) <= len(text)-i && text[i:i+len(c)] == c {
			return &list[k]
		}
	}
	return nil
}

// split calls yield for each stretch of text in order, with the token's id or,
// between tokens, -1. Empty stretches are left out.
func (m *matcher) split(text string, yield func(lo, hi int, id int32)) {
	from := 0 // what lies before is dealt with
	for i := 0; !m.empty && i < len(text); {
		t := m.at(text, i)
		if t == nil {
			i++
			continue
		}
		lo, hi := i, i+len(t.Content)
		i = hi
		if t.SingleWord && (endsInWord(text[:lo]) || startsInWord(text[hi:])) {
			continue
		}
		if t.LStrip {
			for lo > from {
				r, n := utf8.DecodeLastRuneInString(text[from:lo])
				if !unicode.IsSpace(r) {
					break
				}
				lo -= n
			}
		}
		if t.RStrip {
			for hi < len(text) {
				r, n := utf8.DecodeRuneInString(text[hi:])
				if !unicode.IsSpace(r) {
					break
				}
				hi += n
			}
			i = hi
		}
		if from < lo {
			yield(from, lo, -1)
		}
		yield(lo, hi, t.ID)
		from = hi
	}
	if from < len(text) {
		yield(from, len(text), -1)
	}
}

func endsInWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && inWord(r)
}

func startsInWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && inWord(r)
}

// inWord is \w of Unicode regular expressions.
func inWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.Is(unicode.M, r) || unicode.Is(unicode.Nd, r) ||
		unicode.Is(unicode.Nl, r) || unicode.Is(unicode.Pc, r) || unicode.Is(unicode.Other_Alphabetic, r) ||
		r == '\u200c' || r == '\u200d'
}
