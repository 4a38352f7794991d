package tokenizer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder rewrites the texts of tokens on the way to one text.
type decoder func(tokens []string) []string

func join(tokens []string) string { return strings.Join(tokens, "") }

// decodeFuse makes one text of all.
func decodeFuse(tokens []string) []string { return []string{join(tokens)} }

// decodeSpaced puts a space between tokens: what is done where a tokenizer
// names no decoder.
func decodeSpaced(tokens []string) []string { return []string{strings.Join(tokens, " ")} }

// decodeByteLevel turns byte letters into bytes. A token with any other letter
// (an added one) stands for itself.
func decodeByteLevel(tokens []string) []string {
	var out []byte
	for _, t := range tokens {
		start := len(out)
		for _, r := range t {
			b, ok := letterByte(r)
			if !ok {
				out = append(out[:start], t...)
				break
			}
			out = append(out, b)
		}
	}
	return []string{validUTF8(out)}
}

// decodeBytes turns runs of <0xNN> into text; a run that is not valid as a
// whole becomes one U+FFFD a byte.
func decodeBytes(tokens []string) []string {
	out := make([]string, 0, len(tokens))
	var run []byte
	flush := func() {
		switch {
		case len(run) == 0:
		case utf8.Valid(run):
			out = append(out, string(run))
		default:
			out = append(out, strings.Repeat("\ufffd", len(run)))
		}
		run = run[:0]
	}
	for _, t := range tokens {
		if b, ok := byteToken(t); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, t)
	}
	flush()
	return out
}

func byteToken(t string) (byte, bool) {
	if len(t) != 6 || !strings.HasPrefix(t, "<0x") || t[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(t[3:5], 16, 8)
	return byte(b), err == nil
}

func decodeReplace(from, to string) decoder {
	return func(tokens []string) []string {
		for i, t := range tokens {
			tokens[i] = strings.ReplaceAll(t, from, to)
		}
		return tokens
	}
}

// decodeStrip takes up to left and right times what off each token's ends.
func decodeStrip(what string, left, right int) decoder {
	return func(tokens []string) []string {
		for i, t := range tokens {
			for n := 0; n < left && strings.HasPrefix(t, what); n++ {
				t = t[len(what):]
			}
			for n := 0; n < right && strings.HasSuffix(t, what); n++ {
				t = t[:len(t)-len(what)]
			}
			tokens[i] = t
		}
		return tokens
	}
}

// decodeMetaspace writes spaces for marks; if prefixed, marks of the first
// token are dropped.
func decodeMetaspace(mark string, prefixed bool) decoder {
	return func(tokens []string) []string {
		for i, t := range tokens {
			space := " "
			if i == 0 && prefixed {
				space = ""
			}
			tokens[i] = strings.ReplaceAll(t, mark, space)
		}
		return tokens
	}
}

// decodeWordPiece joins tokens with the prefix to the word before and puts a
// space before others; cleanup then takes spaces before punctuation back.
func decodeWordPiece(prefix string, cleanup bool) decoder {
	clean := func(s string) string { return s }
	if cleanup {
		clean = cleanEnglish
	}
	return func(tokens []string) []string {
		for i, t := range tokens {
			if i > 0 {
				if rest, inside := strings.CutPrefix(t, prefix); inside {
					t = rest
				} else {
					t = " " + t
				}
			}
			tokens[i] = clean(t)
		}
		return tokens
	}
}

func cleanEnglish(s string) string {
	for _, swap := range [...][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
		{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		s = strings.ReplaceAll(s, swap[0], swap[1])
	}
	return s
}

// validUTF8 writes one U+FFFD for each maximal part of b that cannot go on to
// a character (Unicode 15, section 3.9, table 3-8).
func validUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out := make([]byte, 0, len(b)+8)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r != utf8.RuneError || n != 1 {
			out = append(out, b[:n]...)
			b = b[n:]
			continue
		}
		out = append(out, "\ufffd"...)
		b = b[maximalSubpart(b):]
	}
	return string(out)
}

// maximalSubpart returns how many of the leading bytes of b, which begin no
// character, could have begun one. It is at least 1.
func maximalSubpart(b []byte) int {
	lo, hi, more := byte(0x80), byte(0xbf), 0
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		more = 1
	case c >= 0xe0 && c <= 0xef:
		more = 2
		if c == 0xe0 {
			lo = 0xa0
		} else if c == 0xed {
			hi = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		more = 3
		if c == 0xf0 {
			lo = 0x90
		} else if c == 0xf4 {
			hi = 0x8f
		}
	}
	n := 1
	for ; n <= more && n < len(b) && b[n] >= lo && b[n] <= hi; n++ {
		lo, hi = 0x80, 0xbf
	}
	return n
}
