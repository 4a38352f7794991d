package trace

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"keyhole.example/keyhole/internal/atomicfile"
)

// table is numbers by row and block, as plotter.GridXYZ; row 0 is drawn on top.
type table struct {
	rows   []string
	values [][]float64
}

func (t table) Dims() (c, r int)   { return len(t.values[0]), len(t.values) }
func (t table) X(c int) float64    { return float64(c) }
func (t table) Y(r int) float64    { return float64(r) }
func (t table) Z(c, r int) float64 { return t.values[len(t.values)-1-r][c] }

// shades goes from white to a colour, as palette.Palette.
type shades struct{ full color.NRGBA }

const shadeSteps = 64

func (s shades) Colors() []color.Color {
	out := make([]color.Color, shadeSteps)
	for i := range out {
		f := float64(i) / (shadeSteps - 1)
		mix := func(c uint8) uint8 { return uint8(math.Round(255 + f*(float64(c)-255))) }
		out[i] = color.NRGBA{mix(s.full.R), mix(s.full.G), mix(s.full.B), 255}
	}
	return out
}

// shade is the colour of a kind of restored state.
func shade(restore string) shades {
	switch restore {
	case MLP:
		return shades{color.NRGBA{0, 104, 55, 255}}
	case Attn:
		return shades{color.NRGBA{165, 15, 21, 255}}
	}
	return shades{color.NRGBA{63, 0, 125, 255}}
}

// WriteHeatMap draws the result's probabilities, tokens down and blocks across,
// to path; its ending, .png or .svg, decides the format. White is P*; what lies
// below it is white too.
func (r *Result) WriteHeatMap(path string) error {
	title := fmt.Sprintf("p(%s) with %s restored", strings.TrimSpace(r.Answer), r.what())
	t := table{values: r.Scores}
	for i := range r.Tokens {
		t.rows = append(t.rows, r.Label(i))
	}
	return writeHeatMap(path, title, t, r.Corrupted, r.Clean, shade(r.Restore))
}

// what describes what a cell restores.
func (r *Result) what() string { return described(r.Restore, r.Window, r.Sever) }

func described(restore string, window int, sever string) string {
	text := "the hidden state"
	switch restore {
	case MLP:
		text = fmt.Sprintf("MLP outputs of %d blocks", window)
	case Attn:
		text = fmt.Sprintf("attention outputs of %d blocks", window)
	}
	switch sever {
	case MLP:
		text += ", MLPs severed"
	case Attn:
		text += ", attention severed"
	}
	return text
}

// WriteHeatMap draws the average effects, kinds of tokens down and blocks
// across, like Result's. White is no effect.
func (s *Summary) WriteHeatMap(path string) error {
	t := table{}
	for _, e := range s.Effects {
		row := make([]float64, 0, len(e.Blocks))
		for _, m := range e.Blocks {
			row = append(row, m.Mean)
		}
		t.rows, t.values = append(t.rows, e.Tokens), append(t.values, row)
	}
	title := fmt.Sprintf("mean effect over %d facts of restoring %s", s.Facts, described(s.Restore, s.Window, s.Sever))
	return writeHeatMap(path, title, t, 0, 0, shade(s.Restore))
}

// writeHeatMap draws t with the colours from low to the larger of high and the
// table's greatest value.
func writeHeatMap(path, title string, t table, low, high float64, colours shades) error {
	format := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	if format != "png" && format != "svg" {
		return fmt.Errorf("heat map %s: the ending is neither .png nor .svg", path)
	}
	if len(t.values) == 0 || len(t.values[0]) == 0 {
		return fmt.Errorf("heat map %s: the table is empty", path)
	}
	top := math.Max(high, low)
	for _, row := range t.values {
		for _, v := range row {
			top = math.Max(top, v)
		}
	}
	if !(top > low) {
		top = low + 1e-9 // a table without effects is all white
	}
	h := plotter.NewHeatMap(t, colours)
	h.Min, h.Max = low, top
	h.Underflow = color.White
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = fmt.Sprintf("block (white: %.3g, full colour: %.3g)", low, top)
	p.Add(h)
	p.X.Tick.Marker = plot.ConstantTicks(blockTicks(len(t.values[0])))
	rows := make([]plot.Tick, len(t.rows))
	for i, label := range t.rows {
		rows[i] = plot.Tick{Value: float64(len(t.rows) - 1 - i), Label: label}
	}
	p.Y.Tick.Marker = plot.ConstantTicks(rows)
	p.Y.Tick.Label.XAlign = draw.XRight
	const cellWidth, cellHeight, margin = 14, 16, 150 // points
	width := vg.Points(float64(max(margin*2, margin+cellWidth*len(t.values[0]))))
	height := vg.Points(float64(margin/2 + cellHeight*len(t.values)))
	drawn, err := p.WriterTo(width, height, format)
	if err != nil {
		return fmt.Errorf("heat map %s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := drawn.WriteTo(w)
		return err
	})
}

// blockTicks labels every block, or every fifth of many.
func blockTicks(blocks int) []plot.Tick {
	step := 1
	if blocks > 16 {
		step = 5
	}
	ticks := make([]plot.Tick, blocks)
	for i := range ticks {
		ticks[i].Value = float64(i)
		if i%step == 0 {
			ticks[i].Label = strconv.Itoa(i)
		}
	}
	return ticks
}
