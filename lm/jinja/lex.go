package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

type kind uint8

const (
	end kind = iota
	data
	openBlock
	closeBlock
	openOutput
	closeOutput
	name
	str
	integer
	float
	operator
)

// token is a piece of a template; text is decoded where it is a string.
type token struct {
	kind kind
	text string
	line int
}

// lexer cuts a template into tokens.
type lexer struct {
	source string
	at     int
	line   int
	out    []token
}

// lex also does what trim_blocks, lstrip_blocks and the signs - and + ask of the
// white space round tags.
func lex(source string) ([]token, error) {
	source = strings.ReplaceAll(strings.ReplaceAll(source, "\r\n", "\n"), "\r", "\n")
	l := &lexer{source: strings.TrimSuffix(source, "\n"), line: 1}
	for l.at < len(l.source) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.add(end, "")
	return l.out, nil
}

func (l *lexer) add(k kind, text string) {
	if k == data && text == "" {
		return
	}
	l.out = append(l.out, token{k, text, l.line})
}

// skip moves on by n bytes.
func (l *lexer) skip(n int) string {
	s := l.source[l.at : l.at+n]
	l.line += strings.Count(s, "\n")
	l.at += n
	return s
}

// next takes the text up to a tag, and the tag.
func (l *lexer) next() error {
	rest := l.source[l.at:]
	n, tag := -1, ""
	for i := 0; i+1 < len(rest); i++ {
		if rest[i] == '{' && (rest[i+1] == '{' || rest[i+1] == '%' || rest[i+1] == '#') {
			n, tag = i, rest[i:i+2]
			break
		}
	}
	if n < 0 {
		l.add(data, l.skip(len(rest)))
		return nil
	}
	before := rest[:n]
	sign := byte(0)
	if n+2 < len(rest) && (rest[n+2] == '-' || rest[n+2] == '+') {
		sign = rest[n+2]
	}
	switch {
	case sign == '-':
		before = strings.TrimRight(before, " \t\n\v\f")
	case sign == 0 && tag != "{{":
		if line := strings.LastIndexByte(before, '\n') + 1; strings.Trim(before[line:], " \t\v\f") == "" &&
			(line > 0 || l.at == 0 || l.source[l.at-1] == '\n') {
			before = before[:line]
		}
	}
	l.add(data, before)
	l.skip(n + 2)
	if sign != 0 {
		l.skip(1)
	}
	switch tag {
	case "{#":
		return l.comment()
	case "{%":
		if done, err := l.raw(); done || err != nil {
			return err
		}
		l.add(openBlock, tag)
		return l.tag("%}", closeBlock)
	}
	l.add(openOutput, tag)
	return l.tag("}}", closeOutput)
}

func (l *lexer) comment() error {
	n := strings.Index(l.source[l.at:], "#}")
	if n < 0 {
		return lineError(l.line, "a comment has no end, #}")
	}
	l.skip(n)
	l.after("#}", l.at > 0 && l.source[l.at-1] == '-', l.at > 0 && l.source[l.at-1] == '+')
	return nil
}

// after takes the end of a tag and the white space that goes with it.
func (l *lexer) after(closing string, strip, keep bool) {
	l.skip(len(closing))
	rest := l.source[l.at:]
	switch {
	case strip:
		l.skip(len(rest) - len(strings.TrimLeft(rest, " \t\n\v\f")))
	case !keep && closing != "}}" && strings.HasPrefix(rest, "\n"):
		l.skip(1)
	}
}

// raw takes a whole {% raw %}, whose text is not looked at.
func (l *lexer) raw() (bool, error) {
	head := strings.TrimLeft(l.source[l.at:], " \t\n")
	if !strings.HasPrefix(head, "raw") {
		return false, nil
	}
	head = strings.TrimLeft(head[3:], " \t\n")
	strip := strings.HasPrefix(head, "-%}")
	if !strip && !strings.HasPrefix(head, "%}") {
		return false, nil
	}
	l.skip(len(l.source) - l.at - len(strings.TrimPrefix(head, "-")))
	l.after("%}", strip, true)
	for from := 0; ; {
		rest := l.source[l.at:]
		i := strings.Index(rest[from:], "{%")
		if i < 0 {
			return false, lineError(l.line, "raw has no endraw")
		}
		i += from
		tail := rest[i+2:]
		minus := strings.HasPrefix(tail, "-")
		tail = strings.TrimLeft(strings.TrimPrefix(tail, "-"), " \t\n")
		if !strings.HasPrefix(tail, "endraw") {
			from = i + 2
			continue
		}
		tail = strings.TrimLeft(tail[len("endraw"):], " \t\n")
		strip := strings.HasPrefix(tail, "-%}")
		tail = strings.TrimPrefix(tail, "-")
		if !strings.HasPrefix(tail, "%}") {
			return false, lineError(l.line, "endraw takes nothing")
		}
		inside := rest[:i]
		if minus {
			inside = strings.TrimRight(inside, " \t\n\v\f")
		}
		l.add(data, inside)
		l.skip(len(rest) - len(tail))
		l.after("%}", strip, false)
		return true, nil
	}
}

// operators, the longest first.
var operators = []string{"//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=",
	"(", ")", "[", "]", "{", "}", ".", ",", ":", "|"}

// tag takes the tokens up to closing.
func (l *lexer) tag(closing string, as kind) error {
	depth := 0
	for {
		rest := l.source[l.at:]
		trimmed := strings.TrimLeft(rest, " \t\n\v\f")
		l.skip(len(rest) - len(trimmed))
		rest = trimmed
		if rest == "" {
			return lineError(l.line, "a tag has no end, %s", closing)
		}
		signed := rest[0] == '-' || rest[0] == '+'
		if depth == 0 && strings.HasPrefix(rest, closing) || signed && strings.HasPrefix(rest[1:], closing) {
			if signed {
				l.skip(1)
			}
			l.add(as, closing)
			l.after(closing, signed && rest[0] == '-', signed && rest[0] == '+')
			return nil
		}
		if err := l.piece(rest, &depth); err != nil {
			return err
		}
	}
}

// piece takes one token inside a tag.
func (l *lexer) piece(rest string, depth *int) error {
	c := rest[0]
	switch {
	case c == '\'' || c == '"':
		return l.quoted(rest, c)
	case digit(c):
		n, k := l.number(rest)
		l.add(k, strings.ReplaceAll(rest[:n], "_", ""))
		l.skip(n)
		return nil
	case letter(c):
		n := span(rest, 0, func(c byte) bool { return letter(c) || digit(c) })
		l.add(name, rest[:n])
		l.skip(n)
		return nil
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			switch op {
			case "(", "[", "{":
				*depth++
			case ")", "]", "}":
				*depth--
			}
			l.add(operator, op)
			l.skip(len(op))
			return nil
		}
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return lineError(l.line, "unexpected %q", r)
}

func digit(c byte) bool  { return c >= '0' && c <= '9' }
func letter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// span is where the bytes of s from i on end to be of a sort.
func span(s string, i int, of func(c byte) bool) int {
	for i < len(s) && of(s[i]) {
		i++
	}
	return i
}

// number is the length of the number at the start of s, and its kind. Behind a dot
// stands an index, which has no fraction.
func (l *lexer) number(s string) (n int, k kind) {
	n, k = span(s, 0, func(c byte) bool { return digit(c) || c == '_' }), integer
	behindDot := len(l.out) > 0 && l.out[len(l.out)-1] == token{operator, ".", l.line}
	if !behindDot && n+1 < len(s) && s[n] == '.' && digit(s[n+1]) {
		n, k = span(s, n+1, digit), float
	}
	if n == len(s) || s[n] != 'e' && s[n] != 'E' {
		return n, k
	}
	power := n + 1
	if power < len(s) && (s[power] == '+' || s[power] == '-') {
		power++
	}
	if end := span(s, power, digit); end > power {
		return end, float
	}
	return n, k
}

// quoted takes a string with its escapes, which are Python's.
func (l *lexer) quoted(rest string, quote byte) error {
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == quote:
			l.add(str, b.String())
			l.skip(i + 1)
			return nil
		case c == '\\' && i+1 < len(rest):
			n := escape(&b, rest[i+1:])
			i += n
		default:
			b.WriteByte(c)
		}
	}
	return lineError(l.line, "a string has no end")
}

// escape writes what the escape at the start of s stands for and tells its length.
func escape(b *strings.Builder, s string) int {
	switch i := strings.IndexByte("ntrfvab0\\'\"\n", s[0]); {
	case i == 7 || i < 0 && s[0] >= '1' && s[0] <= '7': // octal
		n := 1
		for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '7' {
			n++
		}
		v, _ := strconv.ParseUint(s[:n], 8, 16)
		b.WriteRune(rune(v))
		return n
	case i == 11: // a line that goes on
		return 1
	case i >= 0:
		b.WriteByte("\n\t\r\f\v\a\b\x00\\'\""[i])
		return 1
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]
	if digits > 0 && len(s) > digits {
		if v, err := strconv.ParseUint(s[1:1+digits], 16, 32); err == nil && v <= utf8.MaxRune {
			b.WriteRune(rune(v))
			return 1 + digits
		}
	}
	b.WriteByte('\\')
	b.WriteByte(s[0])
	return 1
}
