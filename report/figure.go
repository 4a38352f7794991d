package report

import "fmt"

// Figure is a plot that can be written.
type Figure struct {
	Title string
	scene *scene
}

const (
	titleSize = 12 // points, the size of letters
	axisSize  = 10
	small     = 9
	margin    = 14
	crowd     = 40 // a line of more points has markers only here and there
)

// newFigure begins with a white ground and the title.
func newFigure(title string, width, height float64) *Figure {
	s := &scene{title: title, width: width, height: height}
	s.rect(box{0, 0, width, height}, white, "")
	s.text(point{margin, margin + titleSize - 2}, shortened(title, titleSize*1.06, width-2*margin), titleSize, 0).bold = true
	return &Figure{Title: title, scene: s}
}

// resize gives the figure, and its ground, another height.
func (f *Figure) resize(height float64) {
	ground := f.scene.marks[0].points
	f.scene.height, ground[2].y, ground[3].y = height, height, height
}

// frame is the ground of a plot: an area with its axes.
type frame struct {
	*scene
	area box
	x, y scale
}

// frame draws ticks, a grid and the axes' names round an area.
func (f *Figure) frame(area box, x, y Axis, xs, ys scale) *frame {
	s := f.scene
	xs.a, xs.z, ys.a, ys.z = area.x0, area.x1, area.y1, area.y0
	for _, t := range ys.ticks(int((area.y1 - area.y0) / 36)) {
		at := ys.at(t.value)
		s.line(light, 0.6, point{area.x0, at}, point{area.x1, at})
		if t.label != "" {
			s.text(point{area.x0 - 5, at + 0.34*small}, t.label, small, 1)
		}
	}
	s.across(area, x.Name, xs, 56)
	if y.Name != "" {
		m := s.text(point{margin + axisSize - 2, (area.y0 + area.y1) / 2}, y.Name, axisSize, 0.5)
		m.turned = true
	}
	return &frame{s, area, xs, ys}
}

// across draws the axis along the bottom of an area, with a tick for about so many
// points, and the line on the left.
func (s *scene) across(area box, name string, xs scale, apart float64) {
	free := area.x0 - 1e3 // up to where labels stand
	for _, t := range xs.ticks(int((xs.z - xs.a) / apart)) {
		at := xs.at(t.value)
		s.line(light, 0.6, point{at, area.y0}, point{at, area.y1})
		half := textWidth(t.label, small, false) / 2
		if t.label == "" || at-half < free+4 {
			continue
		}
		free = at + half
		s.text(point{at, area.y1 + 5 + small}, t.label, small, 0.5)
	}
	s.line(grey, 0.8, point{area.x0, area.y0}, point{area.x0, area.y1}, point{area.x1, area.y1})
	if name != "" {
		s.text(point{(area.x0 + area.x1) / 2, area.y1 + 13 + small + axisSize}, name, axisSize, 0.5)
	}
}

// tickRoom is the width of the labels on the left.
func tickRoom(s scale, height float64) float64 {
	w := 0.0
	for _, t := range s.ticks(int(height / 36)) {
		w = max(w, textWidth(t.label, small, false))
	}
	return w + 8
}

// legend names styles in rows from y on, and returns where they end.
func (f *Figure) legend(y float64, names []string, p *Palette) float64 {
	const mark, apart, line = 18, 14, 14
	x := float64(margin)
	for _, n := range names {
		shown := shortened(n, small, f.scene.width-2*margin-mark)
		w := mark + textWidth(shown, small, false)
		if x > margin && x+w > f.scene.width-margin {
			x, y = margin, y+line
		}
		style := p.Style(n)
		f.scene.line(style.Color, 1.4, point{x, y - 3}, point{x + 13, y - 3})
		style.draw(f.scene, point{x + 6.5, y - 3}, 3, "")
		f.scene.text(point{x + mark, y}, shown, small, 0)
		x += w + apart
	}
	return y + line
}

// told is a value with half its 95 % band, for tips.
func told(name string, v, band float64) string {
	text := fmt.Sprintf("%s %.4g", name, v)
	if band > 0 {
		text += fmt.Sprintf(" ±%.2g", band)
	}
	return text
}
