package report

import "math"

// spot is where a label stands.
type spot struct {
	box box
	far bool // from its point: a line leads to it
}

// placing finds room for labels of points.
type placing struct {
	area    box
	points  []point // none is covered
	bands   []box   // what labels had better leave free
	placed  []box
	leaders [][2]point
}

const (
	gap   = 6 // between a point and a label near it
	reach = 12
)

// place finds the nearest room for a label of a size beside point i; false if
// there is none anywhere.
func (p *placing) place(i int, width, height float64) (spot, bool) {
	best, cost := spot{}, math.Inf(1)
	at := p.points[i]
	for ring := range reach {
		distance := gap + 13*float64(ring)
		if distance >= cost {
			break
		}
		for k := range 16 {
			if ring == 0 && k%2 == 1 {
				continue
			}
			s := spot{around(at, 2*math.Pi*float64(k)/16, distance, width, height), ring > 0}
			if !p.free(s.box, i) {
				continue
			}
			if c := distance + 0.2*float64(k%4) + p.harm(s, at); c < cost {
				best, cost = s, c
			}
		}
	}
	if math.IsInf(cost, 1) {
		return spot{}, false
	}
	p.placed = append(p.placed, best.box)
	if best.far {
		p.leaders = append(p.leaders, [2]point{at, nearest(best.box, at)})
	}
	return best, true
}

// around is a box of a size in a direction from a point, at a distance.
func around(at point, angle, distance, width, height float64) box {
	dx, dy := math.Cos(angle), math.Sin(angle)
	centre := point{at.x + dx*(distance+width/2), at.y + dy*(distance+height/2)}
	if math.Abs(dx) > 0.3 { // beside the point, and so no wider away than it must
		centre.x = at.x + math.Copysign(math.Abs(dx)*distance+width/2, dx)
	}
	return box{centre.x - width/2, centre.y - height/2, centre.x + width/2, centre.y + height/2}
}

// harm is what a label of a point does there: bands that it covers, and lines that
// go through labels.
func (p *placing) harm(s spot, at point) float64 {
	c := 0.0
	for _, band := range p.bands {
		if band.meets(s.box) {
			c += 5
		}
	}
	for _, l := range p.leaders {
		if _, _, crossed := clipSegment(s.box, l[0], l[1]); crossed {
			c += 40
		}
	}
	if !s.far {
		return c
	}
	for _, o := range p.placed {
		if _, _, crossed := clipSegment(o, at, nearest(s.box, at)); crossed {
			c += 40
		}
	}
	return c
}

// free tells whether a box covers no label and no point, and is inside.
func (p *placing) free(b box, own int) bool {
	if !p.area.holds(b) {
		return false
	}
	for _, o := range p.placed {
		if o.grown(1).meets(b) {
			return false
		}
	}
	for i, q := range p.points {
		room := 5.0
		if i == own {
			room = 3
		}
		if (box{q.x, q.y, q.x, q.y}).grown(room).meets(b) {
			return false
		}
	}
	return true
}

// nearest is the place of a box that is nearest to a point.
func nearest(b box, p point) point {
	return point{math.Min(math.Max(p.x, b.x0), b.x1), math.Min(math.Max(p.y, b.y0), b.y1)}
}
