package report

import (
	"fmt"
	"slices"
)

// Series is a named line, with half the 95 % band of each point (nil: none).
type Series struct {
	Name       string
	X, Y, Band []float64
}

// Panel is a plot above or below others that share the axis along the bottom.
type Panel struct {
	Y      Axis
	Series []Series
}

// Lines draws series in one plot with a legend. palette may be nil.
func Lines(title string, x, y Axis, series []Series, palette *Palette) *Figure {
	return Panels(title, x, []Panel{{y, series}}, palette)
}

// Panels draws plots one above the other, each with an axis of its own, and one
// legend. Points that are not finite are left out. palette may be nil.
func Panels(title string, x Axis, panels []Panel, palette *Palette) *Figure {
	var names []string
	var xs []float64
	for i := range panels {
		panels[i].Series = slices.Clone(panels[i].Series)
		for j, s := range panels[i].Series {
			panels[i].Series[j] = s.finite()
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
			xs = append(xs, panels[i].Series[j].X...)
		}
	}
	if palette == nil {
		palette = NewPalette(names...)
	}
	const apart = 26
	height := 250.0
	if len(panels) > 1 {
		height = 150
	}
	f := newFigure(title, 540, 0)
	top := 42.0
	if len(names) != 1 || names[0] != x.Name && names[0] != panels[0].Y.Name { // else an axis says it
		top = f.legend(top, names, palette)
	}
	f.resize(top + float64(len(panels))*(height+apart) - apart + 46)
	left := 0.0
	scales := make([]scale, len(panels))
	for i, p := range panels {
		scales[i] = p.fit()
		left = max(left, tickRoom(scales[i], height))
	}
	for i, p := range panels {
		area := box{margin + axisSize + 6 + left, top, f.scene.width - margin - 8, top + height}
		under := Axis{}
		if i == len(panels)-1 {
			under = x
		}
		r := f.frame(area, under, p.Y, x.fit(xs, false), scales[i])
		for _, s := range p.Series {
			r.band(s, p.Y, palette.Style(s.Name))
		}
		for _, s := range p.Series {
			r.series(s, x, p.Y, palette.Style(s.Name))
		}
		top += height + apart
	}
	return f
}

// finite leaves out what cannot be drawn.
func (s Series) finite() Series {
	out := Series{Name: s.Name}
	for i := range s.Y {
		if !finite(s.X[i], s.Y[i]) {
			continue
		}
		band := 0.0
		if s.Band != nil && finite(s.Band[i]) {
			band = s.Band[i]
		}
		out.X, out.Y, out.Band = append(out.X, s.X[i]), append(out.Y, s.Y[i]), append(out.Band, band)
	}
	return out
}

// fit chooses what the panel shows.
func (p *Panel) fit() scale {
	var ys []float64
	for _, s := range p.Series {
		for i, v := range s.Y {
			ys = append(ys, v, v+s.Band[i])
			if !p.Y.Log || v > s.Band[i] {
				ys = append(ys, v-s.Band[i])
			}
		}
	}
	return p.Y.fit(ys, false)
}

// band shades what the values may be.
func (r *frame) band(s Series, y Axis, style Style) {
	if !slices.ContainsFunc(s.Band, func(b float64) bool { return b > 0 }) {
		return
	}
	var above, below []point
	for i := range s.X {
		at := r.x.at(s.X[i])
		hi, lo := y.within(s.Y[i]+s.Band[i]), y.within(s.Y[i]-s.Band[i])
		if r.y.log {
			lo = max(lo, r.y.lo)
		}
		above, below = append(above, point{at, r.y.at(hi)}), append(below, point{at, r.y.at(lo)})
	}
	slices.Reverse(below)
	ink := style.Color
	ink.A = 0x30
	r.add(mark{kind: polygon, points: append(above, below...), fill: ink})
}

// series draws a line with its markers.
func (r *frame) series(s Series, x, y Axis, style Style) {
	var at []point
	for i := range s.X {
		at = append(at, point{r.x.at(s.X[i]), r.y.at(s.Y[i])})
	}
	for _, piece := range clip(r.area.grown(0.5), at) {
		r.add(mark{kind: polyline, points: piece, stroke: style.Color, width: 1.4, tip: s.Name})
	}
	every := max(1, (len(at)+11)/12)
	if len(at) <= crowd {
		every = 1
	}
	for i := every - 1; i < len(at); i += every {
		if r.area.grown(1).holds(box{at[i].x, at[i].y, at[i].x, at[i].y}) {
			style.draw(r.scene, at[i], 3, fmt.Sprintf("%s: %s, %s", s.Name, told(x.Name, s.X[i], 0), told(y.Name, s.Y[i], s.Band[i])))
		}
	}
}
