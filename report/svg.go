package report

import (
	"fmt"
	"html"
	"image/color"
	"io"
	"math"
	"strconv"
	"strings"
)

// sans are the fonts that a browser takes, the first that has a character's
// picture.
const sans = "Liberation Sans, Arial, Helvetica, Noto Sans CJK SC, Noto Sans, sans-serif"

// svg is the scene as an SVG element, whose marks tell their tips.
func (s *scene) svg() string {
	var b strings.Builder
	title := html.EscapeString(Spelled(s.title))
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 %s %s" font-family="%s" role="img" aria-label="%s">`+"\n<title>%s</title>\n",
		number(s.width*4/3), number(s.height*4/3), number(s.width), number(s.height), sans, title, title)
	for i := range s.marks {
		s.marks[i].svg(&b)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (m *mark) svg(b *strings.Builder) {
	name, at := "", m.points[0]
	switch m.kind {
	case polygon, polyline:
		name = map[kind]string{polygon: "polygon", polyline: "polyline"}[m.kind]
		fmt.Fprintf(b, `<%s points="`, name)
		for i, p := range m.points {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(number(p.x) + "," + number(p.y))
		}
		b.WriteByte('"')
	case circle:
		name = "circle"
		fmt.Fprintf(b, `<circle cx="%s" cy="%s" r="%s"`, number(at.x), number(at.y), number(m.radius))
	case letters:
		name = "text"
		fmt.Fprintf(b, `<text x="%s" y="%s" font-size="%s"`, number(at.x), number(at.y), number(m.size))
		if m.align > 0 {
			fmt.Fprintf(b, ` text-anchor="%s"`, map[bool]string{true: "end", false: "middle"}[m.align == 1])
		}
		if m.bold {
			b.WriteString(` font-weight="bold"`)
		}
		if m.turned {
			fmt.Fprintf(b, ` transform="rotate(-90 %s %s)"`, number(at.x), number(at.y))
		}
		b.WriteString(` xml:space="preserve"`)
	}
	paint(b, "fill", m.fill)
	if m.stroke.A > 0 {
		paint(b, "stroke", m.stroke)
		fmt.Fprintf(b, ` stroke-width="%s"`, number(m.width))
	}
	inner := ""
	if m.kind == letters {
		inner = html.EscapeString(m.text)
	}
	if m.tip != "" {
		inner = "<title>" + html.EscapeString(Spelled(m.tip)) + "</title>" + inner
	}
	if inner == "" {
		b.WriteString("/>\n")
		return
	}
	fmt.Fprintf(b, ">%s</%s>\n", inner, name)
}

// paint writes a colour as an attribute, for policies that forbid styles.
func paint(b *strings.Builder, name string, c color.NRGBA) {
	switch c.A {
	case 0:
		fmt.Fprintf(b, ` %s="none"`, name)
	case 255:
		fmt.Fprintf(b, ` %s="#%02x%02x%02x"`, name, c.R, c.G, c.B)
	default:
		fmt.Fprintf(b, ` %s="#%02x%02x%02x" %s-opacity="%s"`, name, c.R, c.G, c.B, name, number(float64(c.A)/255))
	}
}

// number is a coordinate to the hundredth of a point.
func number(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }

// WriteSVG writes the figure as SVG.
func (f *Figure) WriteSVG(w io.Writer) error {
	if _, err := io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+f.scene.svg()); err != nil {
		return fmt.Errorf("figure %q: %w", f.Title, err)
	}
	return nil
}
