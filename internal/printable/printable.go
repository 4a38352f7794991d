// Package printable keeps control characters of texts that come from elsewhere
// (files, arguments, a model's words) from reaching a terminal, where they could
// clear the screen, change its title or turn the order of letters round.
package printable

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Writer writes text to a file and shows control characters as escapes: \x1b, and
// in JSON \u001b, which reads back as the character. Line breaks and tabs stay.
type Writer struct {
	f    *os.File
	json bool
	part []byte // the beginning of a character whose end is still to come
}

// New is a writer for text.
func New(f *os.File) *Writer { return &Writer{f: f} }

// JSON makes the escapes those of JSON, in whose strings alone control characters
// can stand, from now on.
func (w *Writer) JSON() { w.json = true }

// Terminal reports whether the file is a terminal.
func (w *Writer) Terminal() bool { return term.IsTerminal(int(w.f.Fd())) }

// Raw is the file, for control sequences of the program's own.
func (w *Writer) Raw() io.Writer { return w.f }

// Write implements io.Writer. A character that is cut by the end of p is kept for
// the next Write, or for Flush.
func (w *Writer) Write(p []byte) (int, error) {
	text := append(w.part, p...)
	w.part = nil
	if cut := unfinished(text); cut > 0 {
		w.part = append(w.part, text[len(text)-cut:]...)
		text = text[:len(text)-cut]
	}
	if _, err := io.WriteString(w.f, escape(string(text), w.json)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what is left of a character whose end never came.
func (w *Writer) Flush() error {
	text := escape(string(w.part), w.json)
	w.part = nil
	_, err := io.WriteString(w.f, text)
	return err
}

// unfinished is the number of bytes at the end that begin a character.
func unfinished(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// Escape is a text as a Writer shows it.
func Escape(s string) string { return escape(s, false) }

func escape(s string, json bool) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || bad(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, size := 0, 0; i < len(s); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1 && json:
			b.WriteRune(utf8.RuneError)
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !bad(r):
			b.WriteRune(r)
		case json:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// bad reports a control character (C0 but tab and line feed, DEL, C1), a line or
// paragraph separator, or one that turns the direction of what follows.
func bad(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return true
	}
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}
