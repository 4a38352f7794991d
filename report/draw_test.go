package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// bounds is the room that a text takes.
func (m *mark) bounds() box {
	w := textWidth(m.text, m.size, m.bold)
	up, down := 0.75*m.size, 0.25*m.size
	at := m.points[0]
	if m.turned {
		return box{at.x - up, at.y - (1-m.align)*w, at.x + down, at.y + m.align*w}
	}
	return box{at.x - m.align*w, at.y - up, at.x + (1-m.align)*w, at.y + down}
}

// checkTexts fails if a text of the figure covers another or is cut off.
func checkTexts(t *testing.T, what string, f *Figure) {
	t.Helper()
	type placed struct {
		box
		text string
	}
	var seen []placed
	whole := box{0, 0, f.scene.width, f.scene.height}
	for _, m := range f.scene.marks {
		if m.kind != letters || m.text == "" {
			continue
		}
		b := m.bounds()
		if !whole.grown(0.01).holds(b) {
			t.Fatalf("%s: %q is cut off: %+v of %+v", what, m.text, b, whole)
		}
		for _, o := range seen {
			if o.meets(b.grown(-0.5)) {
				t.Fatalf("%s: %q covers %q", what, m.text, o.text)
			}
		}
		seen = append(seen, placed{b.grown(-0.5), m.text})
	}
}

func TestNoTextCoversAnother(t *testing.T) {
	share := Axis{Name: "share", Lo: 0, Hi: 1}
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := 1 + r.IntN(30)
		var points []Point
		var bars []Bar
		var series []Series
		for i := range n {
			name := strings.Repeat("editor", 1+r.IntN(3)) + strconv.Itoa(i)
			p := Point{Label: name, X: r.Float64(), Y: r.Float64(), XBand: 0.2 * r.Float64(), YBand: 0.2 * r.Float64()}
			if seed%2 == 0 { // all in a corner, as good editors are
				p.X, p.Y = 1-0.02*r.Float64(), 1-0.02*r.Float64()
			}
			points = append(points, p)
			bars = append(bars, Bar{Name: name, Value: math.Pow(10, 8*r.Float64()-4)})
			series = append(series, Series{Name: name, X: []float64{0, 1e5 * r.Float64()}, Y: []float64{r.Float64(), 100 * r.Float64()}})
		}
		what := fmt.Sprintf("seed %d", seed)
		checkTexts(t, what+", scatter", Scatter("a title", share, share, points, nil))
		checkTexts(t, what+", scatter, free", Scatter("a title", Axis{Name: "x"}, Axis{Name: "y"}, points, nil))
		checkTexts(t, what+", bars", Bars("a title", Axis{Name: "seconds"}, bars, nil))
		checkTexts(t, what+", lines", Panels("a title", Axis{Name: "edits"}, []Panel{{Axis{Name: "loss", Log: true}, series}, {share, series}}, nil))
		h := HeatMap{Title: "heat", Lines: []string{"below"}, Across: "block", Value: "p", Marking: "subject", High: math.Pow(10, 6*r.Float64()-5)}
		blocks := 1 + r.IntN(60)
		for i := range n {
			h.Rows = append(h.Rows, HeatRow{Name: points[i].Label, Marked: i > 2 && i < 6, Note: "n = 100"})
			row := make([]float64, blocks)
			for j := range row {
				row[j] = h.High * r.Float64()
			}
			h.Values = append(h.Values, row)
		}
		f, err := h.Figure()
		if err != nil {
			t.Fatal(err)
		}
		checkTexts(t, what+", heat", f)
		if f.scene.width*dpi/72 < 1200 {
			t.Errorf("a heat map is %.0f pixels wide", f.scene.width*dpi/72)
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		lo, width := (r.Float64()-0.5)*math.Pow(10, 6*r.Float64()-2), math.Pow(10, 10*r.Float64()-4)
		width = math.Max(width, 1e-3*math.Abs(lo)) // or the differences of ticks are noise
		s := Axis{}.fit([]float64{lo, lo + width}, false)
		ticks := s.ticks(3 + r.IntN(8))
		if len(ticks) < 2 || len(ticks) > 24 {
			t.Fatalf("%d ticks from %g to %g", len(ticks), s.lo, s.hi)
		}
		step := ticks[1].value - ticks[0].value
		mantissa := step / math.Pow(10, math.Floor(math.Log10(step)+1e-6))
		if math.Abs(mantissa-1) > 1e-6 && math.Abs(mantissa-2) > 1e-6 && math.Abs(mantissa-5) > 1e-6 {
			t.Fatalf("ticks are %g apart", step)
		}
		for _, k := range ticks {
			if k.value < s.lo-1e-9*width || k.value > s.hi+1e-9*width {
				t.Fatalf("a tick at %g, of %g to %g", k.value, s.lo, s.hi)
			}
			if v, err := strconv.ParseFloat(k.label, 64); err != nil || math.Abs(v-k.value) > 1e-3*step {
				t.Fatalf("a tick at %g is labelled %q (step %g)", k.value, k.label, step)
			}
			if n := k.value / step; math.Abs(n-math.Round(n)) > 1e-4 {
				t.Fatalf("a tick at %g, %g apart", k.value, step)
			}
		}
	}
}

func TestLogarithmicTicksAreDecades(t *testing.T) {
	for _, v := range [][]float64{{1e-3, 20}, {5, 5}, {1, 1e9}, {0.011, 0.9}, {3e-7, 2e4}} {
		s := Axis{Log: true}.fit(v, false)
		labels := 0
		for _, k := range s.ticks(6) {
			mantissa := k.value / math.Pow(10, math.Floor(math.Log10(k.value)+1e-6))
			if m := math.Round(mantissa); math.Abs(mantissa-m) > 1e-6 || m != 1 && m != 2 && m != 5 {
				t.Errorf("%v: a tick at %g", v, k.value)
			}
			if k.label == "" {
				continue
			}
			labels++
			if x, err := strconv.ParseFloat(k.label, 64); err != nil || math.Abs(x/k.value-1) > 1e-6 {
				t.Errorf("%v: a tick at %g is labelled %q", v, k.value, k.label)
			}
		}
		if !s.log || labels < 2 || labels > 8 {
			t.Errorf("%v: %d labels", v, labels)
		}
	}
	if Axis.Spanning(Axis{}, []float64{1, 29}).Log || !Axis.Spanning(Axis{}, []float64{1, 30}).Log || Axis.Spanning(Axis{}, []float64{0, 100}).Log {
		t.Error("decades are told from others wrongly")
	}
}

func TestBandsStayPossible(t *testing.T) {
	share := Axis{Name: "share", Lo: 0, Hi: 1}
	f := Scatter("t", share, share, []Point{{Label: "a", X: 0.99, Y: 0.01, XBand: 0.3, YBand: 0.3}}, nil)
	g := Lines("t", Axis{Name: "x"}, share, []Series{{Name: "a", X: []float64{0, 1}, Y: []float64{0.01, 0.99}, Band: []float64{0.5, 0.5}}}, nil)
	for _, f := range []*Figure{f, g} {
		whole := box{0, 34, f.scene.width, f.scene.height - 40}
		for _, m := range f.scene.marks[1:] {
			for _, p := range m.points {
				if m.kind != letters && !whole.holds(box{p.x, p.y, p.x, p.y}) {
					t.Errorf("%+v is drawn outside", p)
				}
			}
		}
	}
	if v := share.within(1.2); v != 1 {
		t.Errorf("1.2 within the possible is %g", v)
	}
}

func TestNamesKeepTheirStyles(t *testing.T) {
	p := NewPalette("mend", "rome", "ft", "mend")
	q := NewPalette("mend", "rome", "ft", "own", "other")
	seen := map[string]string{}
	for _, name := range []string{"mend", "rome", "ft"} {
		if fmt.Sprint(p.Style(name)) != fmt.Sprint(q.Style(name)) {
			t.Errorf("%s has two styles", name)
		}
	}
	var names []string
	for i := range 77 {
		names = append(names, strconv.Itoa(i))
	}
	many := NewPalette(names...)
	for _, n := range names {
		s := many.Style(n)
		key := fmt.Sprint(s.Color, s.marker)
		if other, ok := seen[key]; ok {
			t.Errorf("%s looks like %s", n, other)
		}
		seen[key] = n
	}
}

func TestPiecesOfCharactersAreShown(t *testing.T) {
	for text, want := range map[string]string{
		"東京": "東京", "\xe6\x9d": "‹E6 9D›", "a\xffb": "a‹FF›b", "x\ny\x1b": "x⏎y\\x1b", "\u200b": "\\u200b", "\ufffd": "\ufffd",
	} {
		if got := Spelled(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func TestEveryCharacterHasAPicture(t *testing.T) {
	for text, want := range map[string]source{"aéЖ": outline, "東京한글": bitmap, "😀\ufffd": boxed} {
		for _, r := range runs(text, 10, false) {
			if r.from != want {
				t.Errorf("%q is drawn from %d, want %d", r.text, r.from, want)
			}
			if r.width < 5 {
				t.Errorf("%q is %g points wide", r.text, r.width)
			}
		}
	}
}

func TestEveryPicture(t *testing.T) {
	// The words' pixels differ from the ground: nothing is blank.
	for _, text := range []string{"Paris", "東京", "서울", "😀", "\ufffd"} {
		var dark int
		f := newFigure("", 100, 60)
		f.scene.text(point{10, 50}, text, 20, 0)
		img := f.image()
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				if r, _, _, _ := img.At(x, y).RGBA(); r < 0x8000 {
					dark++
				}
			}
		}
		if dark < 100 {
			t.Errorf("%q has %d dark pixels", text, dark)
		}
	}
}
