package report

import (
	"fmt"
	"math"
	"strings"
)

// Bar is a named value; Text is how it is written, "" as a number of three
// digits.
type Bar struct {
	Name  string
	Value float64
	Text  string
}

// Bars draws a bar for each name, with its value behind it, from zero, or on a
// logarithmic axis if the values span decades. A value that is not finite has no
// bar. palette may be nil.
func Bars(title string, x Axis, bars []Bar, palette *Palette) *Figure {
	const thick, step = 14, 21
	var names []string
	var values []float64
	left, right := 0.0, 0.0
	text := func(b Bar) string {
		if b.Text == "" {
			return strings.Replace(fmt.Sprintf("%.3g", b.Value), "e-0", "e-", 1)
		}
		return b.Text
	}
	for _, b := range bars {
		names = append(names, b.Name)
		if b.Value != 0 { // it has no place on a logarithmic axis, and needs none
			values = append(values, b.Value)
		}
		left = max(left, textWidth(shortened(b.Name, small, 160), small, false))
		right = max(right, textWidth(text(b), small, false))
	}
	if palette == nil {
		palette = NewPalette(names...)
	}
	x = x.Spanning(values)
	f := newFigure(title, 504, 34+step*float64(max(len(bars), 1))+46)
	s := f.scene
	area := box{margin + left + 8, 34, s.width - margin, s.height - 46}
	xs := x.fit(values, true)
	xs.a, xs.z = area.x0, area.x1-right-8 // values stand behind the longest bar
	s.across(area, x.Name, xs, 50)
	for i, b := range bars {
		y := area.y0 + step*(float64(i)+0.5)
		s.text(point{area.x0 - 6, y + 0.34*small}, shortened(b.Name, small, 160), small, 1)
		end := area.x0
		if finite(b.Value) && !(xs.log && b.Value <= 0) {
			from := xs.a
			if !xs.log {
				from = xs.at(0)
			}
			end = xs.at(b.Value)
			s.rect(box{math.Min(from, end), y - thick/2, math.Max(from, end), y + thick/2}, palette.Style(b.Name).Color, fmt.Sprintf("%s: %s", b.Name, text(b)))
			end = math.Max(from, end)
		}
		s.text(point{end + 4, y + 0.34*small}, text(b), small, 0)
	}
	return f
}
