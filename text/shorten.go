package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm/tokenizer"
)

// Shortener cuts prompts and answers to Max tokens each, as texts, so that what
// an edit is made on and what it is asked on is the same. Max 0 cuts nothing.
type Shortener struct {
	Tok tokenizer.Tokenizer
	Max int
}

// Prompt is the prompt's end, where the question is, and whether anything was
// cut off. It begins with a word where that leaves one.
func (s Shortener) Prompt(prompt string) (string, bool) {
	if s.Max == 0 {
		return prompt, false
	}
	ids, spans := Spans(s.Tok, prompt)
	if len(ids) <= s.Max {
		return prompt, false
	}
	for i := len(ids) - s.Max; i < len(ids); i++ {
		lo := spans[i][0]
		for lo < len(prompt) && !utf8.RuneStart(prompt[lo]) {
			lo++
		}
		rest := strings.TrimLeftFunc(prompt[lo:], unicode.IsSpace)
		if lo = len(prompt) - len(rest); rest != "" && boundary(prompt, lo) && len(Prompt(s.Tok, rest)) <= s.Max {
			return rest, true
		}
	}
	_, size := utf8.DecodeLastRuneInString(prompt)
	return prompt[len(prompt)-size:], true
}

// Answer is the answer's beginning behind the prompt, and whether anything was
// cut off.
func (s Shortener) Answer(prompt, answer string, join data.Join) (string, bool) {
	if s.Max == 0 {
		return answer, false
	}
	_, a, err := Split(s.Tok, prompt, answer, join)
	if err != nil || len(a) <= s.Max {
		return answer, false
	}
	for n := s.Max; n > 0; n-- {
		begin := strings.TrimSpace(s.Tok.DecodeSkip(a[:n]))
		begin = strings.TrimRight(begin, string(utf8.RuneError)) // a piece of a character
		if _, b, err := Split(s.Tok, prompt, begin, join); err == nil && len(b) <= s.Max {
			return begin, true
		}
	}
	return answer, false
}
