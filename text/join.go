package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"keyhole.example/keyhole/data"
)

// Behind is the answer as it stands behind the prompt, with the space between
// the two if there is one: the text of a request is prompt + Behind(…).
//
// With data.JoinAuto there is no space where the prompt ends in white space, in
// an opening bracket or quote, a hyphen or a currency sign, where the answer
// begins with closing punctuation, or where the script has no spaces (Chinese,
// Japanese, Thai …); an answer that begins with white space brings its own.
// Blanks at the answer's end are left out, but for data.JoinNone, which takes
// the answer as it is.
func Behind(prompt, answer string, join data.Join) string {
	if join == data.JoinNone {
		return answer
	}
	answer = strings.TrimRightFunc(answer, unicode.IsSpace)
	bare := strings.TrimLeftFunc(answer, unicode.IsSpace)
	last, _ := utf8.DecodeLastRuneInString(prompt)
	switch {
	case prompt == "" || bare == "" || unicode.IsSpace(last):
		return bare
	case join == data.JoinSpace:
		return " " + bare
	case bare != answer:
		return answer
	case opens(prompt) || closes(bare) || unspaced(prompt, bare):
		return bare
	}
	return " " + bare
}

// opens tells whether a text ends in a sign that the next word follows at once.
func opens(prompt string) bool {
	last, size := utf8.DecodeLastRuneInString(prompt)
	rest := prompt[:len(prompt)-size]
	before, _ := utf8.DecodeLastRuneInString(rest)
	switch {
	case last == '"' || last == '\'' || last == '`':
		if rest == "" || unicode.IsSpace(before) || unicode.In(before, unicode.Ps, unicode.Pi) {
			return true
		}
		// behind a letter: in a script without spaces the first of a pair opens
		return last == '"' && !bounded(before) && strings.Count(prompt, `"`)%2 == 1
	case unicode.Is(unicode.Pd, last):
		return last == '-' || last == '‐' || last == '‑' || !unicode.IsSpace(before)
	}
	return unicode.In(last, unicode.Ps, unicode.Pi, unicode.Sc)
}

// closes tells whether a text begins with a sign that follows a word at once.
func closes(answer string) bool {
	first, size := utf8.DecodeRuneInString(answer)
	if strings.ContainsRune(",.;:!?%‰…、。，；：？！", first) || unicode.In(first, unicode.Pe, unicode.Pf) {
		return first != '’' || contraction(answer[size:])
	}
	return first == '\'' && contraction(answer[size:])
}

// contraction tells whether a text behind an apostrophe begins as in "it's" or
// "they're", or is empty or no letter, where the apostrophe closes something.
func contraction(rest string) bool {
	word := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) }); i >= 0 {
		word = rest[:i]
	}
	switch strings.ToLower(word) {
	case "", "s", "t", "d", "m", "re", "ve", "ll":
		return true
	}
	return false
}

// unspaced tells whether prompt and answer meet in a script that separates no
// words.
func unspaced(prompt, answer string) bool {
	last, _ := utf8.DecodeLastRuneInString(prompt)
	if !bounded(last) {
		return true
	}
	first, _ := utf8.DecodeRuneInString(answer)
	without, letters := 0, 0
	for _, r := range prompt {
		if unicode.IsLetter(r) {
			letters++
			if !bounded(r) {
				without++
			}
		}
	}
	if !bounded(first) && without > 0 {
		return true
	}
	return unicode.IsPunct(last) && 2*without > letters
}

// scriptsWithoutSpaces are those that separate no words.
func scriptsWithoutSpaces() []*unicode.RangeTable {
	return []*unicode.RangeTable{
		unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Yi, unicode.Tibetan,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Javanese, unicode.Balinese,
		unicode.Tai_Le, unicode.New_Tai_Lue, unicode.Tai_Tham, unicode.Tai_Viet,
	}
}

// bounded tells whether a character belongs to a script that puts spaces between
// words. CJK punctuation and full-width forms do not.
func bounded(r rune) bool {
	switch {
	case r < 0x0e00:
		return true
	case r >= 0x3000 && r <= 0x303f, r >= 0xff00 && r <= 0xff9f, r == 'ー':
		return false
	}
	return !unicode.In(r, scriptsWithoutSpaces()...)
}
