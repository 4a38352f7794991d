package tokenizer

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites text; track says whether origins are wanted.
type normalizer func(a aligned, track bool) aligned

// prepend puts s before every text that is not empty.
func prepend(s string) normalizer {
	return func(a aligned, track bool) aligned {
		if a.s == "" {
			return a
		}
		r := rewrite(a, track)
		r.put(s, 0, 0)
		r.keep(0, len(a.s))
		return r.done()
	}
}

// replace writes to for each from, which is not empty.
func replace(from, to string) normalizer {
	return func(a aligned, track bool) aligned {
		if !strings.Contains(a.s, from) {
			return a
		}
		r := rewrite(a, track)
		at := 0
		for {
			i := strings.Index(a.s[at:], from)
			if i < 0 {
				break
			}
			r.keep(at, at+i)
			r.put(to, at+i, at+i+len(from))
			at += i + len(from)
		}
		r.keep(at, len(a.s))
		return r.done()
	}
}

// eachRune rewrites rune by rune: f returns what to write and whether that
// differs from the rune itself.
func eachRune(f func(r rune) (string, bool)) normalizer {
	return func(a aligned, track bool) aligned {
		var out *rewriter
		for i := 0; i < len(a.s); {
			c, n := utf8.DecodeRuneInString(a.s[i:])
			s, differs := f(c)
			if differs && out == nil {
				out = rewrite(a, track)
				out.keep(0, i)
			}
			switch {
			case out == nil:
			case differs:
				out.put(s, i, i+n)
			default:
				out.keep(i, i+n)
			}
			i += n
		}
		if out == nil {
			return a
		}
		return out.done()
	}
}

// lowercase maps each character by itself, so a final sigma is no exception;
// U+0130 is the one character whose small form is two.
func lowercase() normalizer {
	return eachRune(func(r rune) (string, bool) {
		if r == '\u0130' {
			return "i\u0307", true
		}
		low := unicode.ToLower(r)
		if low == r {
			return "", false
		}
		return string(low), true
	})
}

// stripAccents drops non-spacing marks.
func stripAccents() normalizer {
	return eachRune(func(r rune) (string, bool) { return "", unicode.Is(unicode.Mn, r) })
}

// bertClean drops control characters (U+000B, U+000C and U+0085 too, which are
// white space besides) and makes every other white space a space. Unassigned
// characters stay.
func bertClean() normalizer {
	return eachRune(func(r rune) (string, bool) {
		switch {
		case r == ' ':
			return "", false
		case r == '\t' || r == '\n' || r == '\r':
			return " ", true
		case r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
			return "", true
		case unicode.IsSpace(r):
			return " ", true
		}
		return "", false
	})
}

// bertIdeographs puts spaces around each Chinese character.
func bertIdeographs() normalizer {
	return eachRune(func(r rune) (string, bool) {
		if !isIdeograph(r) {
			return "", false
		}
		return " " + string(r) + " ", true
	})
}

func isIdeograph(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2B73F || r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}

// unit is a character on its way through normalisation.
type unit struct {
	r     rune // -1: a byte that is not UTF-8
	class uint8
	lo    int // origin in the text before, [lo, hi)
	hi    int
}

// unicodeForm normalises to NFC, NFD, NFKC or NFKD. Package norm inserts a
// joiner after thirty combining marks, other implementations do not; so it
// serves for single characters and pairs alone.
func unicodeForm(form norm.Form) normalizer {
	decomposed := norm.NFD
	if form == norm.NFKC || form == norm.NFKD {
		decomposed = norm.NFKD
	}
	composes := form == norm.NFC || form == norm.NFKC
	return func(a aligned, track bool) aligned {
		if form.IsNormalString(a.s) {
			return a
		}
		units := decompose(a.s, decomposed)
		if composes {
			units = compose(units)
		}
		r := rewrite(a, track)
		for _, u := range units {
			switch {
			case u.r < 0 || a.s[u.lo:u.hi] == string(u.r):
				r.keep(u.lo, u.hi)
			default:
				r.put(string(u.r), u.lo, u.hi)
			}
		}
		return r.done()
	}
}

// decompose writes each character in parts and brings marks into canonical
// order.
func decompose(s string, form norm.Form) []unit {
	units := make([]unit, 0, len(s))
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			units = append(units, unit{r: -1, lo: i, hi: i + 1})
			i++
			continue
		}
		for _, part := range form.String(s[i : i+n]) {
			units = append(units, unit{r: part, class: combining(part), lo: i, hi: i + n})
		}
		i += n
	}
	for i := 0; i < len(units); {
		j := i
		for j < len(units) && units[j].class != 0 {
			j++
		}
		if marks := units[i:j]; len(marks) > 1 {
			sort.SliceStable(marks, func(x, y int) bool { return marks[x].class < marks[y].class })
		}
		i = j + 1
	}
	return units
}

func combining(r rune) uint8 { return norm.NFD.PropertiesString(string(r)).CCC() }

// compose joins each starter with the marks after it as far as a composed
// character exists and no mark of the same class stands between.
func compose(units []unit) []unit {
	out := units[:0]
	starter := -1 // index in out
	for _, u := range units {
		if starter >= 0 && u.r >= 0 {
			last := out[len(out)-1]
			adjacent := len(out)-1 == starter
			if adjacent || last.class != 0 && last.class < u.class {
				if joined, ok := pair(out[starter].r, u.r); ok {
					s := &out[starter]
					s.r, s.lo, s.hi = joined, min(s.lo, u.lo), max(s.hi, u.hi)
					continue
				}
			}
		}
		if u.class == 0 {
			starter = len(out)
			if u.r < 0 {
				starter = -1
			}
		}
		out = append(out, u)
	}
	return out
}

func pair(a, b rune) (rune, bool) {
	s := norm.NFC.String(string(a) + string(b))
	r, n := utf8.DecodeRuneInString(s)
	return r, n == len(s)
}
