package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// scanner returns the length in bytes of the first piece of s, which is not
// empty. The published pre-tokenizers are regular expressions with lookahead,
// which package regexp does not have; these functions are those expressions
// by hand.
type scanner func(s string) int

// class sorts characters as the expressions do.
type class uint8

const (
	other  class = iota
	letter       // \p{L}
	number       // \p{N}
	space        // \s, Unicode white space
)

// classOf returns the class and length of the first character of s.
func classOf(s string) (class, int) {
	if c := s[0]; c < utf8.RuneSelf {
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			return letter, 1
		case '0' <= c && c <= '9':
			return number, 1
		case c == ' ' || '\t' <= c && c <= '\r':
			return space, 1
		}
		return other, 1
	}
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case unicode.IsLetter(r):
		return letter, n
	case unicode.IsNumber(r):
		return number, n
	case unicode.IsSpace(r):
		return space, n
	}
	return other, n
}

// while returns the length of the leading characters of class c, at most most
// of them.
func while(s string, c class, most int) int {
	n := 0
	for ; n < len(s) && most > 0; most-- {
		k, size := classOf(s[n:])
		if k != c {
			break
		}
		n += size
	}
	return n
}

const unlimited = int(^uint(0) >> 1)

// contraction returns the length of a leading 's 't 're 've 'm 'll 'd, or 0.
func contraction(s string, anyCase bool) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	lower := func(c byte) byte {
		if anyCase && 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	switch lower(s[1]) {
	case 's', 't', 'm', 'd':
		return 2
	}
	if anyCase && len(s) >= 3 && s[1:3] == "ſ" { // the long s folds to s
		return 3
	}
	if len(s) >= 3 {
		switch string([]byte{lower(s[1]), lower(s[2])}) {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// blanks is \s+(?!\S)|\s+ : white space, without its last character if more
// than one stands before something else.
func blanks(s string) int {
	n := while(s, space, unlimited)
	if n == len(s) {
		return n
	}
	_, last := utf8.DecodeLastRuneInString(s[:n])
	if n > last {
		return n - last
	}
	return n
}

// scanGPT2 is
// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func scanGPT2(s string) int {
	if n := contraction(s, false); n > 0 {
		return n
	}
	lead := 0
	if s[0] == ' ' && len(s) > 1 {
		lead = 1
	}
	if c, _ := classOf(s[lead:]); c != space {
		return lead + while(s[lead:], c, unlimited)
	}
	return blanks(s)
}

// scanTiktoken returns the scanner of
// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}|
// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func scanTiktoken(digits int) scanner {
	return func(s string) int {
		if n := contraction(s, true); n > 0 {
			return n
		}
		c, size := classOf(s)
		switch c {
		case letter:
			return while(s, letter, unlimited)
		case number:
			return while(s, number, digits)
		}
		if s[0] != '\r' && s[0] != '\n' {
			if n := while(s[size:], letter, unlimited); n > 0 {
				return size + n
			}
		}
		lead := 0
		if s[0] == ' ' {
			lead = 1
		}
		if n := while(s[lead:], other, unlimited); n > 0 {
			return lead + n + lineBreaks(s[lead+n:])
		}
		if n := lastLineBreak(s[:while(s, space, unlimited)]); n > 0 {
			return n
		}
		return blanks(s)
	}
}

func lineBreaks(s string) int {
	n := 0
	for n < len(s) && (s[n] == '\r' || s[n] == '\n') {
		n++
	}
	return n
}

// lastLineBreak returns the length of s up to and with its last line break.
func lastLineBreak(s string) int {
	for n := len(s); n > 0; n-- {
		if s[n-1] == '\r' || s[n-1] == '\n' {
			return n
		}
	}
	return 0
}

// scanNumbers sets numbers apart, each piece at most digits characters long.
func scanNumbers(digits int) scanner {
	return func(s string) int {
		n := while(s, number, digits)
		if n > 0 {
			return n
		}
		for n < len(s) {
			c, size := classOf(s[n:])
			if c == number {
				break
			}
			n += size
		}
		return n
	}
}
