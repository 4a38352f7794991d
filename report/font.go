package report

import (
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/hajimehoshi/bitmapfont/v3"
	xfont "golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
)

// fonts reads the outlines of Liberation Sans once.
var fonts = sync.OnceValue(func() *font.Cache { return font.NewCache(liberation.Collection()) })

// face is Liberation Sans at a size in points.
func face(size float64, bold bool) font.Face {
	f := font.Font{Typeface: "Liberation", Variant: "Sans"}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return fonts().Lookup(f, vg.Length(size))
}

// source is where a character's picture comes from.
type source int

const (
	outline source = iota // Liberation Sans: Latin, Greek, Cyrillic, Hebrew
	bitmap                // bitmapfont: Chinese, Japanese, Korean, Arabic and more
	boxed                 // neither: a box with its number
)

// sourceOf finds a character's picture.
func sourceOf(f font.Face, buf *sfnt.Buffer, r rune) source {
	if r == utf8.RuneError { // whose picture there is blank
		return boxed
	}
	if i, err := f.Face.GlyphIndex(buf, r); err == nil && i != 0 {
		return outline
	}
	if _, ok := bitmapfont.Face.GlyphAdvance(r); ok {
		return bitmap
	}
	return boxed
}

// run is neighbouring characters of one source.
type run struct {
	from  source
	text  string
	width float64 // in points
}

const bitmapHeight = 12 // pixels of bitmapfont that are an em

// runs cuts a text by the sources of its characters.
func runs(text string, size float64, bold bool) []run {
	f := face(size, bold)
	var buf sfnt.Buffer
	var out []run
	for _, r := range text {
		from := outline
		if r >= 0x80 {
			from = sourceOf(f, &buf, r)
		}
		if n := len(out); n > 0 && out[n-1].from == from {
			out[n-1].text += string(r)
			continue
		}
		out = append(out, run{from: from, text: string(r)})
	}
	for i := range out {
		x := &out[i]
		switch x.from {
		case outline:
			x.width = float64(f.Width(x.text))
		case bitmap:
			x.width = float64(xfont.MeasureString(bitmapfont.Face, x.text)) / float64(fixed.I(1)) * size / bitmapHeight
		case boxed:
			x.width = size * float64(utf8.RuneCountInString(x.text))
		}
	}
	return out
}

// textWidth is the width of a line in points.
func textWidth(text string, size float64, bold bool) float64 {
	w := 0.0
	for _, r := range runs(text, size, bold) {
		w += r.width
	}
	return w
}

// Spelled shows what has no picture of its own: bytes that are but a piece of a
// character as ‹E6 9D›, control characters as \x1b and line breaks as ⏎.
func Spelled(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			end := i
			for end < len(s) {
				if r, n := utf8.DecodeRuneInString(s[end:]); r != utf8.RuneError || n != 1 {
					break
				}
				end++
			}
			fmt.Fprintf(&b, "‹% X›", s[i:end])
			size = end - i
		case r == '\n':
			b.WriteString("⏎")
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// shortened is a text that is no wider than width: its end gives way to an
// ellipsis.
func shortened(text string, size, width float64) string {
	text = Spelled(text)
	if textWidth(text, size, false) <= width {
		return text
	}
	letters := []rune(text)
	for len(letters) > 1 && textWidth(string(letters)+"…", size, false) > width {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + "…"
}
