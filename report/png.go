package report

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"github.com/hajimehoshi/bitmapfont/v3"
	xdraw "golang.org/x/image/draw"
	xfont "golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
)

// dpi makes a point two pixels.
const dpi = 144

// WritePNG writes the figure as PNG of 144 dots an inch.
func (f *Figure) WritePNG(w io.Writer) error {
	if err := png.Encode(w, f.image()); err != nil {
		return fmt.Errorf("figure %q: %w", f.Title, err)
	}
	return nil
}

// image is the figure as pixels.
func (f *Figure) image() image.Image {
	s := f.scene
	c := vgimg.NewWith(vgimg.UseWH(vg.Length(s.width), vg.Length(s.height)), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(color.White))
	r := raster{c, s.height}
	for i := range s.marks {
		r.draw(&s.marks[i])
	}
	return c.Image()
}

// raster draws marks on a canvas, whose origin is on the bottom left.
type raster struct {
	*vgimg.Canvas
	height float64
}

func (r raster) at(p point) vg.Point {
	return vg.Point{X: vg.Length(p.x), Y: vg.Length(r.height - p.y)}
}

func (r raster) draw(m *mark) {
	if m.kind == letters {
		r.letters(m)
		return
	}
	var path vg.Path
	if m.kind == circle {
		path.Move(r.at(point{m.points[0].x + m.radius, m.points[0].y}))
		path.Arc(r.at(m.points[0]), vg.Length(m.radius), 0, 2*math.Pi)
	} else {
		path.Move(r.at(m.points[0]))
		for _, p := range m.points[1:] {
			path.Line(r.at(p))
		}
	}
	if m.kind != polyline {
		path.Close()
	}
	if m.fill.A > 0 {
		r.SetColor(m.fill)
		r.Fill(path)
	}
	if m.stroke.A > 0 {
		r.SetColor(m.stroke)
		r.SetLineWidth(vg.Length(m.width))
		r.Stroke(path)
	}
}

// letters writes a text, each part of it in the font that has it.
func (r raster) letters(m *mark) {
	parts := runs(m.text, m.size, m.bold)
	all := 0.0
	for _, p := range parts {
		all += p.width
	}
	r.SetColor(m.fill)
	if m.turned {
		r.Push()
		r.Translate(r.at(m.points[0]))
		r.Rotate(math.Pi / 2)
		r.FillString(face(m.size, m.bold), vg.Point{X: vg.Length(-m.align * all)}, m.text)
		r.Pop()
		return
	}
	pen := point{m.points[0].x - m.align*all, m.points[0].y}
	for _, p := range parts {
		switch p.from {
		case outline:
			r.FillString(face(m.size, m.bold), r.at(pen), p.text)
		case bitmap:
			r.bitmap(pen, p, m.size, m.fill)
		case boxed:
			for i, c := range []rune(p.text) {
				r.boxed(point{pen.x + float64(i)*m.size, pen.y}, c, m.size, m.fill)
			}
		}
		pen.x += p.width
	}
}

// bitmap writes a run of bitmapfont, enlarged to the size.
func (r raster) bitmap(pen point, p run, size float64, c color.NRGBA) {
	metrics := bitmapfont.Face.Metrics()
	up, down := metrics.Ascent.Ceil(), metrics.Descent.Ceil()
	small := image.NewRGBA(image.Rect(0, 0, xfont.MeasureString(bitmapfont.Face, p.text).Ceil(), up+down))
	d := xfont.Drawer{Dst: small, Src: image.NewUniform(c), Face: bitmapfont.Face, Dot: fixed.P(0, up)}
	d.DrawString(p.text)
	scale := size / bitmapHeight * dpi / 72
	x, y := pen.x*dpi/72, pen.y*dpi/72
	to := image.Rect(round(x), round(y-float64(up)*scale), round(x+float64(small.Rect.Dx())*scale), round(y+float64(down)*scale))
	xdraw.ApproxBiLinear.Scale(r.Image(), to, small, small.Bounds(), draw.Over, nil)
}

// boxed stands for a character without a picture: its number in a box.
func (r raster) boxed(pen point, c rune, size float64, ink color.NRGBA) {
	b := box{pen.x + 0.06*size, pen.y - 0.78*size, pen.x + 0.94*size, pen.y + 0.14*size}
	r.draw(&mark{kind: polygon, points: b.corners(), stroke: ink, width: 0.5})
	digits := fmt.Sprintf("%04X", c)
	half := (len(digits) + 1) / 2
	for i, row := range []string{digits[:half], digits[half:]} {
		at := point{(b.x0 + b.x1) / 2, b.y0 + (0.4+0.45*float64(i))*size}
		r.letters(&mark{points: []point{at}, text: row, size: 0.4 * size, align: 0.5, fill: ink})
	}
}

func round(v float64) int { return int(math.Round(v)) }
