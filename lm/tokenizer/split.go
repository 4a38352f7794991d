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
	patternTekken    = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternO200K     = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternBreak     = `[\r\n]`
	patternHan       = `[一-龥ࠀ-一가-퟿]+`
	patternKana      = `[一-龥぀-ゟ゠-ヿ]+`
	patternDeepSeek3 = `[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_\x60{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// patternCased is words of the scripts with two cases, as DeepSeek LLM lists
// their letters.
const patternCased = `\s?[` + `A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}` +
	`\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}` +
	`\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}` +
	`\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}` +
	`\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}` +
	`\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}` +
	`\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}` +
	`\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}` +
	`\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}` +
	`\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}` +
	`\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}` +
	`\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}` +
	`\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}` +
	`\x{1E900}-\x{1E943}` + `]+`

// scannerOf returns the scanner of a regular expression: one made by hand for
// those that most models have.
func scannerOf(pattern string) (scanner, error) {
	switch pattern {
	case patternGPT2, patternGPT2Short:
		return scanGPT2, nil
	case patternQwen2:
		return scanTiktoken(1), nil
	case patternLlama3, patternCL100K:
		return scanTiktoken(3), nil
	case patternNumber:
		return scanNumbers(1), nil
	case patternNumbers3:
		return scanNumbers(3), nil
	case patternNumbers:
		return scanNumbers(unlimited), nil
	}
	return scanRegex(pattern)
}
