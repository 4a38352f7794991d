package text

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"keyhole.example/keyhole/lm/tokenizer"
)

// Begins tells whether a text begins with an answer and no letter or digit goes
// on behind it; blanks at both ends of each do not count.
func Begins(s, answer string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), strings.TrimSpace(answer))
	if !ok || strings.TrimSpace(answer) == "" {
		return false
	}
	next, _ := utf8.DecodeRuneInString(rest)
	return rest == "" || !unicode.In(next, unicode.L, unicode.M, unicode.N) && next != utf8.RuneError
}

// Said tells whether a model says the tokens want, which it was given one by
// one, if got is what it found most probable in the place of each (−1: nothing):
// by the tokens, or by their text where its own token for the end goes on behind
// the answer, as with a full stop.
func Said(tok tokenizer.Tokenizer, want, got []int32) bool {
	for i, id := range got {
		if id == want[i] {
			continue
		}
		return id >= 0 && Begins(tok.DecodeSkip(append(slices.Clone(want[:i]), id)), tok.DecodeSkip(want))
	}
	return true
}
