package report

import (
	"image/color"
	"math"
)

// Style is how a name is drawn: its colour and marker together are its own.
type Style struct {
	Color  color.NRGBA
	marker int
}

// inks are told apart with any common colour vision, and in print; white paper is
// their ground.
var inks = [...]color.NRGBA{
	{0x00, 0x5a, 0xa8, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x86, 0x62, 0xff}, {0xa0, 0x3a, 0x8c, 0xff},
	{0x8a, 0x63, 0x00, 0xff}, {0x2f, 0xa4, 0xd9, 0xff}, {0x8c, 0x1c, 0x3c, 0xff}, {0x4b, 0x3f, 0xa8, 0xff},
	{0x6e, 0x8b, 0x1f, 0xff}, {0xd8, 0x7c, 0xae, 0xff}, {0x5a, 0x5a, 0x5a, 0xff},
}

// markers are circle, square, triangle, diamond, turned triangle, cross and
// pentagon.
const markers = 7

// Palette gives names their styles: the same name the same style in every plot
// that it is used for.
type Palette struct{ at map[string]int }

// NewPalette gives styles in the order of the names. The first eleven differ in
// colour, the first 77 in colour or marker.
func NewPalette(names ...string) *Palette {
	p := &Palette{at: map[string]int{}}
	for _, n := range names {
		if _, ok := p.at[n]; !ok {
			p.at[n] = len(p.at)
		}
	}
	return p
}

// Style is the style of a name. One that the palette does not know has that of
// its first.
func (p *Palette) Style(name string) Style {
	i := p.at[name]
	return Style{Color: inks[i%len(inks)], marker: i % markers}
}

// draw puts the style's marker at a place.
func (s Style) draw(to *scene, at point, radius float64, tip string) {
	m := mark{kind: polygon, fill: s.Color, stroke: white, width: 0.6, tip: tip}
	corners := func(n int, start, scale float64) {
		for i := range n {
			a := start + 2*math.Pi*float64(i)/float64(n)
			m.points = append(m.points, point{at.x + scale*radius*math.Cos(a), at.y + scale*radius*math.Sin(a)})
		}
	}
	switch s.marker {
	case 0:
		m.kind, m.points, m.radius = circle, []point{at}, radius
	case 1:
		corners(4, math.Pi/4, 1.25)
	case 2:
		corners(3, -math.Pi/2, 1.35)
	case 3:
		corners(4, 0, 1.35)
	case 4:
		corners(3, math.Pi/2, 1.35)
	case 5:
		const arm = 0.42
		for _, c := range [][2]float64{{-arm, -1}, {arm, -1}, {arm, -arm}, {1, -arm}, {1, arm}, {arm, arm}, {arm, 1}, {-arm, 1}, {-arm, arm}, {-1, arm}, {-1, -arm}, {-arm, -arm}} {
			m.points = append(m.points, point{at.x + 1.2*radius*c[0], at.y + 1.2*radius*c[1]})
		}
	case 6:
		corners(5, -math.Pi/2, 1.2)
	}
	to.add(m)
}
