package eval

import (
	"strings"
)

// asciiPunctuation is what SQuAD's normalisation removes.
const asciiPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// Normalise is the normalisation of SQuAD's exact match: lower case, no ASCII
// punctuation, no articles, single spaces (Rajpurkar et al. 2016).
func Normalise(text string) string {
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune(asciiPunctuation, r) {
			return -1
		}
		return r
	}, strings.ToLower(text))
	var words []string
	for _, w := range strings.Fields(text) {
		if w != "a" && w != "an" && w != "the" {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

// ContainsAlias tells whether text contains one of the aliases at word
// boundaries, all of them normalised. An alias of nothing but articles and
// punctuation is never contained.
func ContainsAlias(text string, aliases ...string) bool {
	padded := " " + Normalise(text) + " "
	for _, a := range aliases {
		if a = Normalise(a); a != "" && strings.Contains(padded, " "+a+" ") {
			return true
		}
	}
	return false
}
