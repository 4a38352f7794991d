package report

import (
	"fmt"
	"slices"
)

// Point is a labelled point with half its 95 % bands (0: none drawn).
type Point struct {
	Label        string
	X, Y         float64
	XBand, YBand float64
}

// Scatter draws labelled points with their bands, in the styles of their labels.
// Labels stand where they cover nothing; where there is no room for one, a legend
// names them all. Points that are not finite are left out. palette may be nil.
func Scatter(title string, x, y Axis, points []Point, palette *Palette) *Figure {
	points = slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return !finite(p.X, p.Y) })
	var names []string
	var xs, ys []float64
	for _, p := range points {
		names = append(names, p.Label)
		xs, ys = append(xs, p.X-p.XBand, p.X+p.XBand), append(ys, p.Y-p.YBand, p.Y+p.YBand)
	}
	if palette == nil {
		palette = NewPalette(names...)
	}
	f := newFigure(title, 504, 396)
	if f.scatter(34, x, y, x.fit(xs, false), y.fit(ys, false), points, palette, true) {
		return f
	}
	f = newFigure(title, 504, 396)
	top := f.legend(42, names, palette)
	f.resize(f.scene.height + top - 34)
	f.scatter(top, x, y, x.fit(xs, false), y.fit(ys, false), points, palette, false)
	return f
}

// scatter draws everything below top; false if there is no room for a label.
func (f *Figure) scatter(top float64, x, y Axis, xs, ys scale, points []Point, palette *Palette, labels bool) bool {
	s := f.scene
	area := box{margin + axisSize + 6, top, s.width - margin, s.height - 46}
	area.x0 += tickRoom(ys, area.y1-area.y0)
	r := f.frame(area, x, y, xs, ys)
	room := placing{area: area}
	for _, p := range points {
		at := point{r.x.at(p.X), r.y.at(p.Y)}
		room.points = append(room.points, at)
		ink := palette.Style(p.Label).Color
		ink.A = 0xa0
		if lo, hi := x.within(p.X-p.XBand), x.within(p.X+p.XBand); p.XBand > 0 {
			s.line(ink, 1, point{r.x.at(lo), at.y}, point{r.x.at(hi), at.y})
			room.bands = append(room.bands, box{r.x.at(lo), at.y - 0.5, r.x.at(hi), at.y + 0.5})
		}
		if lo, hi := y.within(p.Y-p.YBand), y.within(p.Y+p.YBand); p.YBand > 0 {
			s.line(ink, 1, point{at.x, r.y.at(lo)}, point{at.x, r.y.at(hi)})
			room.bands = append(room.bands, box{at.x - 0.5, r.y.at(hi), at.x + 0.5, r.y.at(lo)})
		}
	}
	for i, p := range points {
		palette.Style(p.Label).draw(s, room.points[i], 4, fmt.Sprintf("%s: %s, %s", p.Label, told(x.Name, p.X, p.XBand), told(y.Name, p.Y, p.YBand)))
	}
	if !labels {
		return true
	}
	for i, p := range points {
		name := shortened(p.Label, small, (area.x1-area.x0)/2)
		spot, ok := room.place(i, textWidth(name, small, false), small)
		if !ok {
			return false
		}
		if spot.far {
			s.line(grey, 0.5, room.points[i], nearest(spot.box, room.points[i]))
		}
		s.text(point{spot.box.x0, spot.box.y1 - 0.25*small}, name, small, 0).fill = palette.Style(p.Label).Color
	}
	return true
}
