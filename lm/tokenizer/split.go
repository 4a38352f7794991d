package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// splitter appends the parts of a to out.
type splitter func(out []aligned, a aligned, track bool) []aligned

// splitBy cuts by a scanner.
func splitBy(next scanner) splitter {
	return func(out []aligned, a aligned, _ bool) []aligned {
		for at := 0; at < len(a.s); {
			n := next(a.s[at:])
			out = append(out, a.slice(at, at+n))
			at += n
		}
		return out
	}
}

// spaceBefore puts a space before text that does not begin with one.
func spaceBefore() splitter {
	add := prepend(" ")
	return func(out []aligned, a aligned, track bool) []aligned {
		if !strings.HasPrefix(a.s, " ") {
			a = add(a, track)
		}
		return append(out, a)
	}
}

// metaspace writes mark for each space and, by scheme ("always", "first" or
// "never"), before the text; if split, words part before each mark.
func metaspace(mark, scheme string, split bool) splitter {
	swap, add := replace(" ", mark), prepend(mark)
	return func(out []aligned, a aligned, track bool) []aligned {
		a = swap(a, track)
		wanted := scheme == "always" || scheme == "first" && a.first
		if wanted && !strings.HasPrefix(a.s, mark) {
			a = add(a, track)
		}
		if !split {
			return append(out, a)
		}
		return splitBy(func(s string) int {
			_, n := utf8.DecodeRuneInString(s)
			if i := strings.Index(s[n:], mark); i >= 0 {
				return n + i
			}
			return len(s)
		})(out, a, track)
	}
}

// splitString cuts at each delim (not empty), which stands alone ("Isolated"),
// goes with the text before ("MergedWithPrevious") or after
// ("MergedWithNext").
func splitString(delim, behavior string) splitter {
	return splitBy(func(s string) int {
		i := strings.Index(s, delim)
		switch {
		case i < 0:
			return len(s)
		case behavior == "MergedWithPrevious":
			return i + len(delim)
		case i > 0:
			return i
		case behavior == "Isolated":
			return len(delim)
		}
		if next := strings.Index(s[len(delim):], delim); next >= 0 {
			return len(delim) + next
		}
		return len(s)
	})
}

// splitBert drops white space and sets each punctuation mark apart.
func splitBert(out []aligned, a aligned, _ bool) []aligned {
	from := 0
	flush := func(to int) {
		if from < to {
			out = append(out, a.slice(from, to))
		}
	}
	for i, r := range a.s {
		n := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, n = utf8.DecodeRuneInString(a.s[i:])
		}
		switch {
		case unicode.IsSpace(r):
			flush(i)
			from = i + n
		case isPunctuation(r):
			flush(i)
			out = append(out, a.slice(i, i+n))
			from = i + n
		}
	}
	flush(len(a.s))
	return out
}

func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7f && !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}
	return unicode.IsPunct(r)
}

// Regular expressions of published pre-tokenizers.
const (
	patternGPT2      = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	patternGPT2Short = `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	patternQwen2     = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternLlama3    = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternCL100K    = `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`
	patternNumber    = `\p{N}`
	patternNumbers3  = `\p{N}{1,3}`
	patternNumbers   = `\p{N}+`
)

// scannerOf returns the scanner of a known regular expression.
func scannerOf(pattern string) (scanner, bool) {
	switch pattern {
	case patternGPT2, patternGPT2Short:
		return scanGPT2, true
	case patternQwen2:
		return scanTiktoken(1), true
	case patternLlama3, patternCL100K:
		return scanTiktoken(3), true
	case patternNumber:
		return scanNumbers(1), true
	case patternNumbers3:
		return scanNumbers(3), true
	case patternNumbers:
		return scanNumbers(unlimited), true
	}
	return nil, false
}
