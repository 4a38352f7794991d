package console

import (
	"strings"
	"unicode/utf8"
)

// Fold makes the console break lines of prose where words end, if they are longer
// than the terminal is wide. Commands stay whole, so that they can be copied; one that
// is wider than the terminal is broken by that.
func (c *Console) Fold() { c.prose = true }

// fold breaks a text's lines.
func fold(text string, width int) string {
	if width < 8 {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		bare := strings.TrimSuffix(line, "\n")
		if lineWidth(bare) > width {
			bare = broken(bare, width)
		}
		b.WriteString(bare)
		b.WriteString(line[len(strings.TrimSuffix(line, "\n")):])
	}
	return b.String()
}

// broken is a line in several, of which the later ones stand below the first one's
// text.
func broken(line string, width int) string {
	hang := strings.Repeat(" ", min(indent(line), width/3))
	var b strings.Builder
	used := 0
	for i, word := range units(line) {
		bare := strings.TrimRight(word, " ")
		if n := lineWidth(bare); i > 0 && bare != "" && used+n > width && used > len(hang) {
			whole := strings.TrimRight(b.String(), " ")
			b.Reset()
			b.WriteString(whole + "\n" + hang)
			used = len(hang)
		}
		b.WriteString(word)
		used += lineWidth(word)
	}
	return b.String()
}

// units are the line's words, each with the blank behind it; a command, from the
// program's name to the end of the clause, is one.
func units(line string) []string {
	var out []string
	inside := false
	for _, word := range strings.SplitAfter(line, " ") {
		if inside {
			out[len(out)-1] += word
		} else {
			out = append(out, word)
			inside = word == "keyhole "
		}
		unit := strings.TrimRight(out[len(out)-1], " ")
		quoted := strings.Count(unit, `"`)%2 == 1 || strings.Count(unit, "'")%2 == 1
		if inside && !quoted && strings.ContainsAny(unit[len(unit)-1:], ".,;:)") {
			inside = false
		}
	}
	return out
}

// indent is where a line's text begins: behind blanks and a dash, or behind the name
// in front of two blanks.
func indent(line string) int {
	const name = 24
	at := len(line) - len(strings.TrimLeft(line, " "))
	rest := line[at:]
	if strings.HasPrefix(rest, "- ") {
		return at + 2
	}
	gap := strings.Index(rest, "  ")
	if gap < 0 {
		return at
	}
	text := gap + len(rest[gap:]) - len(strings.TrimLeft(rest[gap:], " "))
	if utf8.RuneCountInString(rest[:text]) > name {
		return at
	}
	return at + lineWidth(rest[:text])
}
