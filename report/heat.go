package report

import (
	"fmt"
	"image/color"
	"math"
	"strconv"
)

// HeatMap is a table of values as colours: rows down, columns across.
type HeatMap struct {
	Title   string
	Lines   []string // below the title
	Across  string   // what the columns are
	Value   string   // what the colours are
	Rows    []HeatRow
	Values  [][]float64 // [rows][columns]; one that is not finite is left blank
	Low     float64     // is white, and so is what lies below
	High    float64     // has the full colour; the greatest value if that is more
	Ink     color.NRGBA // the full colour
	Marking string      // what the marked rows are
}

// HeatRow names a row.
type HeatRow struct {
	Name   string
	Note   string // behind the row, as a count is
	Marked bool
}

const (
	heatWidth = 648 // points: 1296 pixels
	cellRow   = 20
	barWidth  = 12
)

// Figure draws the heat map with a scale of its colours.
func (h *HeatMap) Figure() (*Figure, error) {
	if len(h.Values) == 0 || len(h.Values[0]) == 0 || len(h.Rows) != len(h.Values) {
		return nil, fmt.Errorf("heat map %q: %d rows of values, %d names; want as many, and at least one", h.Title, len(h.Values), len(h.Rows))
	}
	columns := len(h.Values[0])
	low, top := h.Low, math.Max(h.High, h.Low)
	left, notes := 0.0, 0.0
	for i, row := range h.Values {
		if len(row) != columns {
			return nil, fmt.Errorf("heat map %q: row %d has %d values, the first %d", h.Title, i, len(row), columns)
		}
		for _, v := range row {
			if finite(v) {
				top = math.Max(top, v)
			}
		}
		left = max(left, textWidth(shortened(h.Rows[i].Name, axisSize, 180), axisSize, h.Rows[i].Marked))
		notes = max(notes, textWidth(h.Rows[i].Note, small, false))
	}
	if !(top > low) {
		top = low + 1e-9 // a table without effects is all white
	}
	if notes > 0 {
		notes += 6
	}
	head := 36 + 13*float64(len(h.Lines))
	marked := 0.0
	if h.Marking != "" {
		marked = 16
	}
	barHeight := max(cellRow*float64(len(h.Values)), 80)
	width := max(heatWidth, left+marked+notes+140+8*float64(columns))
	f := newFigure(h.Title, width, head+barHeight+48)
	for i, l := range h.Lines {
		f.scene.text(point{margin, 38 + 13*float64(i)}, shortened(l, axisSize, width-2*margin), axisSize, 0).fill = grey
	}
	area := box{margin + marked + left + 6, head, width - margin - 74 - notes, head + cellRow*float64(len(h.Values))}
	h.cells(f, area, low, top)
	h.names(f, area)
	h.bar(f, box{width - margin - 60, head, width - margin - 60 + barWidth, head + barHeight}, low, top)
	return f, nil
}

// shade is the colour of a value.
func (h *HeatMap) shade(v, low, top float64) color.NRGBA {
	f := math.Min(math.Max((v-low)/(top-low), 0), 1)
	mix := func(c uint8) uint8 { return uint8(math.Round(255 + f*(float64(c)-255))) }
	return color.NRGBA{mix(h.Ink.R), mix(h.Ink.G), mix(h.Ink.B), 255}
}

// cells draws the table, with the values where there is room for them.
func (h *HeatMap) cells(f *Figure, area box, low, top float64) {
	s := f.scene
	columns := len(h.Values[0])
	w := (area.x1 - area.x0) / float64(columns)
	for i, row := range h.Values {
		for j, v := range row {
			b := box{area.x0 + w*float64(j), area.y0 + cellRow*float64(i), area.x0 + w*float64(j+1), area.y0 + cellRow*float64(i+1)}
			if !finite(v) {
				continue
			}
			s.rect(b, h.shade(v, low, top), fmt.Sprintf("%s, %s %d: %.4g", h.Rows[i].Name, h.Across, j, v))
			text := strconv.FormatFloat(v, 'f', 2, 64)
			if w < textWidth(text, small, false)+6 {
				continue
			}
			m := s.text(point{(b.x0 + b.x1) / 2, (b.y0+b.y1)/2 + 0.34*small}, text, small, 0.5)
			if (v-low)/(top-low) > 0.55 {
				m.fill = white
			}
		}
	}
	s.edge(area)
	every := 1
	for _, n := range []int{2, 5, 10, 20, 50, 100} {
		if w*float64(every) > textWidth(strconv.Itoa(columns), small, false)+4 {
			break
		}
		every = n
	}
	for j := 0; j < columns; j += every {
		s.text(point{area.x0 + w*(float64(j)+0.5), area.y1 + 5 + small}, strconv.Itoa(j), small, 0.5)
	}
	s.text(point{(area.x0 + area.x1) / 2, area.y1 + 13 + small + axisSize}, h.Across, axisSize, 0.5)
}

// names writes the rows' names; a bracket holds those that are marked.
func (h *HeatMap) names(f *Figure, area box) {
	s := f.scene
	first, last := -1, -1
	for i, r := range h.Rows {
		y := area.y0 + cellRow*(float64(i)+0.5)
		m := s.text(point{area.x0 - 6, y + 0.34*axisSize}, shortened(r.Name, axisSize, 180), axisSize, 1)
		m.bold = r.Marked
		if r.Note != "" {
			s.text(point{area.x1 + 6, y + 0.34*small}, r.Note, small, 0).fill = grey
		}
		if r.Marked {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 || h.Marking == "" {
		return
	}
	x := float64(margin + 10)
	a, z := area.y0+cellRow*float64(first)+2, area.y0+cellRow*float64(last+1)-2
	s.line(black, 1, point{x + 4, a}, point{x, a}, point{x, z}, point{x + 4, z})
	if z-a >= textWidth(h.Marking, small, false) {
		m := s.text(point{x - 3, (a + z) / 2}, h.Marking, small, 0.5)
		m.turned = true
	}
}

// bar is the scale of the colours.
func (h *HeatMap) bar(f *Figure, b box, low, top float64) {
	const steps = 64
	s := f.scene
	tall := (b.y1 - b.y0) / steps
	for i := range steps {
		v := low + (top-low)*(float64(i)+0.5)/steps
		s.rect(box{b.x0, b.y1 - tall*float64(i+1), b.x1, b.y1 - tall*float64(i) + 0.2}, h.shade(v, low, top), "")
	}
	s.edge(b)
	scale := scale{lo: low, hi: top, a: b.y1, z: b.y0}
	for _, t := range scale.ticks(int((b.y1 - b.y0) / 36)) {
		y := scale.at(t.value)
		s.line(grey, 0.8, point{b.x1, y}, point{b.x1 + 3, y})
		s.text(point{b.x1 + 5, y + 0.34*small}, t.label, small, 0)
	}
	s.text(point{(b.x0 + b.x1) / 2, b.y1 + 13 + small + axisSize}, h.Value, axisSize, 0.5)
}
