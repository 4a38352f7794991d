package report

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Figure is a plot that can be written.
type Figure struct {
	Title         string
	plot          *plot.Plot
	legend        plot.Legend // drawn on the right, where it hides nothing
	side          vg.Length   // its width
	width, height vg.Length
}

// Axis names an axis and, if Hi > Lo, fixes its range.
type Axis struct {
	Name   string
	Lo, Hi float64
}

// Point is a labelled point with half its 95 % bands (0: none drawn).
type Point struct {
	Label        string
	X, Y         float64
	XBand, YBand float64
}

const (
	inch  = 72 * vg.Length(1)
	small = 9   // points, the size of labels
	crowd = 100 // a line of more points is drawn without dots
)

func newFigure(title string, width, height vg.Length) *Figure {
	p := plot.New()
	p.Title.Text = title
	p.BackgroundColor = color.White
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(ticks), plot.TickerFunc(ticks)
	return &Figure{Title: title, plot: p, width: width, height: height}
}

// ticks are gonum's, with labels no longer than they need to be.
func ticks(lo, hi float64) []plot.Tick {
	list := plot.DefaultTicks{}.Ticks(lo, hi)
	for i := range list {
		if list[i].Label != "" {
			list[i].Label = strconv.FormatFloat(list[i].Value, 'g', 6, 64)
		}
	}
	return list
}

func (a Axis) apply(to *plot.Axis) {
	to.Label.Text = a.Name
	if a.Hi > a.Lo {
		to.Min, to.Max = a.Lo, a.Hi
	}
}

// Scatter draws labelled points with their bands. Points that are not finite
// are left out.
func Scatter(title string, x, y Axis, points []Point) (*Figure, error) {
	f := newFigure(title, 6*inch, 4.5*inch)
	data := bands{}
	labels := plotter.XYLabels{}
	for _, p := range points {
		if !finite(p.X, p.Y) {
			continue
		}
		data.XYs = append(data.XYs, plotter.XY{X: p.X, Y: p.Y})
		data.x, data.y = append(data.x, p.XBand), append(data.y, p.YBand)
		labels.XYs, labels.Labels = append(labels.XYs, plotter.XY{X: p.X, Y: p.Y}), append(labels.Labels, p.Label)
	}
	if len(data.XYs) > 0 {
		dots, err := plotter.NewScatter(data.XYs)
		if err != nil {
			return nil, fmt.Errorf("plot %q: %w", title, err)
		}
		dots.Shape, dots.Radius, dots.Color = draw.CircleGlyph{}, 3, ink(0)
		names, err := plotter.NewLabels(labels)
		if err != nil {
			return nil, fmt.Errorf("plot %q: %w", title, err)
		}
		names.Offset = vg.Point{X: 5, Y: 3}
		for i := range names.TextStyle {
			names.TextStyle[i].Font.Size = font.Length(small)
		}
		ex, err := plotter.NewXErrorBars(data)
		if err != nil {
			return nil, fmt.Errorf("plot %q: %w", title, err)
		}
		ey, err := plotter.NewYErrorBars(data)
		if err != nil {
			return nil, fmt.Errorf("plot %q: %w", title, err)
		}
		ex.Color, ey.Color = ink(1), ink(1)
		f.plot.Add(plotter.NewGrid(), ex, ey, dots, names)
	}
	x.apply(&f.plot.X)
	y.apply(&f.plot.Y)
	return f, nil
}

// bands are points with half their bands.
type bands struct {
	plotter.XYs
	x, y []float64
}

func (b bands) XError(i int) (float64, float64) { return b.x[i], b.x[i] }
func (b bands) YError(i int) (float64, float64) { return b.y[i], b.y[i] }

// Bars draws one bar for each label; values that are not finite are left out.
func Bars(title string, y Axis, labels []string, values []float64) (*Figure, error) {
	f := newFigure(title, max(5, vg.Length(len(labels))*0.6)*inch, 3.5*inch)
	shown := make(plotter.Values, len(values))
	for i, v := range values {
		if finite(v) {
			shown[i] = v
		}
	}
	bars, err := plotter.NewBarChart(shown, 18)
	if err != nil {
		return nil, fmt.Errorf("plot %q: %w", title, err)
	}
	bars.Color, bars.LineStyle.Width = ink(0), 0
	f.plot.Add(bars)
	f.plot.NominalX(labels...)
	f.plot.Y.Min = 0
	y.apply(&f.plot.Y)
	return f, nil
}

// Series is a named line, with half the 95 % band of each point (nil: none).
type Series struct {
	Name       string
	X, Y, Band []float64
}

// Lines draws series in one plot with a legend.
func Lines(title string, x, y Axis, series []Series) (*Figure, error) {
	f := newFigure(title, 6*inch, 4*inch)
	f.plot.Add(plotter.NewGrid())
	f.legend = plot.NewLegend()
	f.legend.Top, f.legend.Left, f.legend.Padding = true, true, 2
	for i, s := range series {
		data := bands{}
		for j := range s.Y {
			if finite(s.X[j], s.Y[j]) {
				data.XYs = append(data.XYs, plotter.XY{X: s.X[j], Y: s.Y[j]})
				band := 0.0
				if s.Band != nil && finite(s.Band[j]) {
					band = s.Band[j]
				}
				data.x, data.y = append(data.x, 0), append(data.y, band)
			}
		}
		if len(data.XYs) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(data.XYs)
		if err != nil {
			return nil, fmt.Errorf("plot %q: %w", title, err)
		}
		line.Color, line.Dashes, dots.Color, dots.Shape, dots.Radius = ink(i), dashes(i), ink(i), draw.CircleGlyph{}, 1.5
		if len(data.XYs) > crowd {
			dots.Radius = 0
		}
		f.plot.Add(line, dots)
		if s.Band != nil {
			bars, err := plotter.NewYErrorBars(data)
			if err != nil {
				return nil, fmt.Errorf("plot %q: %w", title, err)
			}
			bars.Color = ink(i)
			f.plot.Add(bars)
		}
		f.legend.Add(s.Name, line, dots)
		f.side = max(f.side, f.legend.TextStyle.Width(s.Name)+f.legend.ThumbnailWidth+2*small)
	}
	f.width += f.side
	x.apply(&f.plot.X)
	y.apply(&f.plot.Y)
	return f, nil
}

func finite(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

var inks = [...]color.RGBA{
	{0x1f, 0x4e, 0x79, 0xff}, {0xc0, 0x50, 0x2d, 0xff}, {0x2e, 0x7d, 0x4f, 0xff}, {0x7a, 0x4f, 0x9a, 0xff},
	{0xb8, 0x86, 0x0b, 0xff}, {0x44, 0x44, 0x44, 0xff}, {0x00, 0x8b, 0x8b, 0xff}, {0xa0, 0x30, 0x60, 0xff},
}

// ink is the color of the i-th series.
func ink(i int) color.Color { return inks[i%len(inks)] }

// dashes tell series of the same color apart.
func dashes(i int) []vg.Length {
	if n := i / len(inks); n > 0 {
		return []vg.Length{vg.Length(6 / n), 3}
	}
	return nil
}

// draw puts the plot and its legend side by side.
func (f *Figure) draw(c draw.Canvas) {
	f.plot.Draw(draw.Crop(c, 0, -f.side, 0, 0))
	if f.side > 0 {
		f.legend.Draw(draw.Crop(c, f.width-f.side+small, 0, 0, -2*small))
	}
}

// WriteSVG writes the figure as SVG.
func (f *Figure) WriteSVG(w io.Writer) error {
	c := vgsvg.New(f.width, f.height)
	f.draw(draw.New(c))
	if _, err := c.WriteTo(w); err != nil {
		return fmt.Errorf("figure %q: %w", f.Title, err)
	}
	return nil
}

// WritePNG writes the figure as PNG of 144 dots an inch.
func (f *Figure) WritePNG(w io.Writer) error {
	c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(f.width, f.height), vgimg.UseDPI(144), vgimg.UseBackgroundColor(color.White))}
	f.draw(draw.New(c))
	if _, err := c.WriteTo(w); err != nil {
		return fmt.Errorf("figure %q: %w", f.Title, err)
	}
	return nil
}

// svg is the figure's SVG element, to stand inside an HTML page.
func (f *Figure) svg() (string, error) {
	var b bytes.Buffer
	if err := f.WriteSVG(&b); err != nil {
		return "", err
	}
	s := b.String()
	if i := strings.Index(s, "<svg"); i >= 0 {
		s = s[i:]
	}
	return s, nil
}
