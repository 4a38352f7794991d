package report

import (
	"image/color"
	"math"
)

// scene is a drawing: marks in their order, in points (1/72 inch), with the
// origin on top left.
type scene struct {
	title         string
	width, height float64
	marks         []mark
}

type point struct{ x, y float64 }

// box is a rectangle with its sides along the axes.
type box struct{ x0, y0, x1, y1 float64 }

func (b box) grown(by float64) box { return box{b.x0 - by, b.y0 - by, b.x1 + by, b.y1 + by} }

func (b box) meets(o box) bool {
	return b.x0 < o.x1 && o.x0 < b.x1 && b.y0 < o.y1 && o.y0 < b.y1
}

func (b box) holds(o box) bool {
	return b.x0 <= o.x0 && b.y0 <= o.y0 && o.x1 <= b.x1 && o.y1 <= b.y1
}

func (b box) corners() []point {
	return []point{{b.x0, b.y0}, {b.x1, b.y0}, {b.x1, b.y1}, {b.x0, b.y1}}
}

// mark is one thing drawn: a polygon, an open line, a circle or a text.
type mark struct {
	kind   kind
	points []point // of a line or polygon; [0] is a circle's centre or a text's place
	radius float64

	fill, stroke color.NRGBA // invisible if A is 0
	width        float64     // of the stroke

	text   string
	size   float64 // of letters
	bold   bool
	align  float64 // share of the text's width left of its place: 0, 0.5 or 1
	turned bool    // reads upward

	tip string // what is told when a pointer rests on it
}

type kind int

const (
	polygon kind = iota
	polyline
	circle
	letters
)

var (
	black = color.NRGBA{0x22, 0x22, 0x22, 0xff}
	grey  = color.NRGBA{0x66, 0x66, 0x66, 0xff}
	light = color.NRGBA{0xdd, 0xdd, 0xdd, 0xff}
	white = color.NRGBA{0xff, 0xff, 0xff, 0xff}
)

func (s *scene) add(m mark) { s.marks = append(s.marks, m) }

// line draws an open line.
func (s *scene) line(c color.NRGBA, width float64, points ...point) {
	s.add(mark{kind: polyline, points: points, stroke: c, width: width})
}

// rect fills a box.
func (s *scene) rect(b box, fill color.NRGBA, tip string) {
	s.add(mark{kind: polygon, points: b.corners(), fill: fill, tip: tip})
}

// edge draws the sides of a box.
func (s *scene) edge(b box) { s.line(grey, 0.8, append(b.corners(), point{b.x0, b.y0})...) }

// text writes a line whose letters stand on y.
func (s *scene) text(at point, t string, size, align float64) *mark {
	s.add(mark{kind: letters, points: []point{at}, text: Spelled(t), size: size, align: align, fill: black})
	return &s.marks[len(s.marks)-1]
}

// clip is the part of a line inside the box, in pieces.
func clip(b box, points []point) [][]point {
	var out [][]point
	var now []point
	for i := 1; i < len(points); i++ {
		p, q, ok := clipSegment(b, points[i-1], points[i])
		if !ok {
			continue
		}
		if len(now) == 0 || now[len(now)-1] != p {
			if len(now) > 1 {
				out = append(out, now)
			}
			now = []point{p}
		}
		now = append(now, q)
	}
	if len(now) > 1 {
		out = append(out, now)
	}
	return out
}

// clipSegment cuts a segment at the sides of the box (Liang and Barsky 1984).
func clipSegment(b box, p, q point) (point, point, bool) {
	from, to := 0.0, 1.0
	dx, dy := q.x-p.x, q.y-p.y
	for _, side := range [4][2]float64{{-dx, p.x - b.x0}, {dx, b.x1 - p.x}, {-dy, p.y - b.y0}, {dy, b.y1 - p.y}} {
		d, room := side[0], side[1]
		switch {
		case d == 0:
			if room < 0 {
				return p, q, false
			}
		case d < 0:
			from = math.Max(from, room/d)
		default:
			to = math.Min(to, room/d)
		}
	}
	if from > to {
		return p, q, false
	}
	a, z := p, q
	if from > 0 {
		a = point{p.x + from*dx, p.y + from*dy}
	}
	if to < 1 {
		z = point{p.x + to*dx, p.y + to*dy}
	}
	return a, z, true
}
