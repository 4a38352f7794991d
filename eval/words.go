package eval

import (
	"regexp"
	"strings"
	"unicode"
)

// Words splits English text as NLTK's word_tokenize does: into sentences, then
// by the Treebank's conventions (punctuation and brackets apart, do|n't, it|'s,
// double quotes as “ and ”, the last period of a sentence apart).
// Sentences are found by rules, not by NLTK's trained model, which differs at
// rare abbreviations.
func Words(text string) []string {
	var out []string
	for _, s := range sentences(text) {
		out = append(out, treebank(s)...)
	}
	return out
}

// abbreviations do not end a sentence.
var abbreviations = regexp.MustCompile(`(?i)(^|\s)\(?(mr|mrs|ms|dr|prof|rev|gen|col|sen|rep|gov|st|jr|sr|vs|inc|ltd|co|corp|e\.g|i\.e|etc|no|vol|fig|[a-z]|([a-z]\.)+[a-z])\.$`)

// sentenceEnd is closing punctuation before white space.
var sentenceEnd = regexp.MustCompile(`[.!?]+["'”’)\]]*\s+`)

func sentences(text string) []string {
	var out []string
	from := 0
	for _, m := range sentenceEnd.FindAllStringIndex(text, -1) {
		rest := strings.TrimLeft(text[m[1]:], "\"'“‘([`")
		next := []rune(rest)
		if len(next) == 0 || unicode.IsLower(next[0]) || !unicode.IsLetter(next[0]) && !unicode.IsDigit(next[0]) {
			continue
		}
		if abbreviations.MatchString(strings.TrimSpace(text[from:m[1]])) {
			continue
		}
		out = append(out, strings.TrimSpace(text[from:m[1]]))
		from = m[1]
	}
	return append(out, strings.TrimSpace(text[from:]))
}

// rule is one step of the Treebank tokenizer: what it matches gets spaces.
type rule struct {
	pattern *regexp.Regexp
	to      string
}

var treebankRules = []rule{
	// opening quotes
	{regexp.MustCompile("([«“‘„]|`+)"), " $1 "},
	{regexp.MustCompile(`^"`), "`` "},
	{regexp.MustCompile(`([ (\[{<])("|'')`), "$1 `` "},
	// punctuation
	{regexp.MustCompile(`([^.])(\.)([\])}>"'»”’ ]*)\s*$`), "$1 $2 $3 "},
	{regexp.MustCompile(`([:,])([^\d])`), " $1 $2"},
	{regexp.MustCompile(`([:,])$`), " $1 "},
	{regexp.MustCompile(`\.{2,}`), " $0 "},
	{regexp.MustCompile(`[;@#$%&]`), " $0 "},
	{regexp.MustCompile(`[?!]`), " $0 "},
	{regexp.MustCompile(`([^'])' `), "$1 ' "},
	{regexp.MustCompile(`[*]`), " $0 "},
	{regexp.MustCompile(`[\]\[(){}<>]`), " $0 "},
	{regexp.MustCompile(`--`), " -- "},
	// closing quotes
	{regexp.MustCompile(`([»”’])`), " $1 "},
	{regexp.MustCompile(`''`), " '' "},
	{regexp.MustCompile(`"`), " '' "},
	{regexp.MustCompile(`([^' ])('[sS]|'[mM]|'[dD]|') `), "$1 $2 "},
	{regexp.MustCompile(`([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) `), "$1 $2 "},
	// contractions written as one word
	{regexp.MustCompile(`(?i)\b(can)(not)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(d)('ye)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(gim|lem)(me)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(gon|wan)(na)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(got)(ta)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i)\b(more)('n)\b`), " $1 $2 "},
	{regexp.MustCompile(`(?i) ('t)(is|was)\b`), " $1 $2 "},
}

// leadingQuote is an apostrophe that opens a word, unless it begins a
// contraction.
var (
	leadingQuote = regexp.MustCompile(`(^|[^\w])'(\w+)`)
	contraction  = regexp.MustCompile(`(?i)^(re|ve|ll|m|t|s|d|n)`)
)

func treebank(s string) []string {
	const quotes = 3 // rules of opening quotes, before the leading apostrophe
	for i, r := range treebankRules {
		if i == quotes {
			s = splitLeadingQuotes(s)
		}
		if i == len(treebankRules)-9 { // closing quotes see spaces around
			s = " " + s + " "
		}
		s = r.pattern.ReplaceAllString(s, r.to)
	}
	return strings.Fields(s)
}

func splitLeadingQuotes(s string) string {
	return leadingQuote.ReplaceAllStringFunc(s, func(m string) string {
		before, word, _ := strings.Cut(m, "'")
		if contraction.MatchString(word) || len([]rune(word)) != 1 {
			return m
		}
		return before + "' " + word
	})
}
