package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"keyhole.example/keyhole/report"
)

func sample() *report.Table {
	t := &report.Table{
		Columns: []report.Column{{Name: "editor"}, {Name: "reliability", Right: true, Better: 1}, {Name: "s/edit", Right: true, Better: -1}},
		Note:    "a note",
	}
	t.Add(report.Text("mend"), report.Number(0.9712, 0.012, 3), report.Number(0.5, 0, 2))
	t.Add(report.Text("ft|x"), report.Number(0.9714, 0.3, 3), report.Number(0.25, 0, 2))
	t.Add(report.Text("näive"), report.Number(math.NaN(), 0, 3), report.Scaled(2, "2 s"))
	t.MarkBest()
	return t
}

func TestTextIsAlignedWithTheBestInBold(t *testing.T) {
	var plain, bold bytes.Buffer
	if err := sample().WriteText(&plain, report.Layout{}); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"editor   reliability  s/edit\n" +
		"mend    0.971 ±0.012    0.50\n" +
		"ft|x    0.971 ±0.300    0.25\n" +
		"näive            NaN     2 s\n" +
		"a note\n"
	if plain.String() != want {
		t.Errorf("got\n%s\nwant\n%s", plain.String(), want)
	}
	if err := sample().WriteText(&bold, report.Layout{Bold: true}); err != nil {
		t.Fatal(err)
	}
	for _, cell := range []string{"\x1b[1m0.971 ±0.012\x1b[0m", "\x1b[1m0.971 ±0.300\x1b[0m", "\x1b[1m0.25\x1b[0m"} {
		if !strings.Contains(bold.String(), cell) {
			t.Errorf("%q is not bold in\n%q", cell, bold.String())
		}
	}
	if n := strings.Count(bold.String(), "\x1b[1m"); n != 3 {
		t.Errorf("%d bold cells, want 3: what shows the same number is equally good", n)
	}
}

func TestColumnsWithoutNumbersHaveNoBest(t *testing.T) {
	table := &report.Table{Columns: []report.Column{{Name: "x", Better: 1}}}
	table.Add(report.Text("a"))
	table.MarkBest()
	if table.Rows[0][0].Best {
		t.Error("a text is marked as the best number")
	}
}

// figures is one of each kind, with values that cannot be drawn among them.
func figures(t *testing.T) map[string]*report.Figure {
	t.Helper()
	share := report.Axis{Name: "share", Lo: 0, Hi: 1}
	out := map[string]*report.Figure{}
	out["scatter"] = report.Scatter("points <b>", share, share, []report.Point{{Label: "a & b", X: 0.5, Y: 0.5, XBand: 0.1, YBand: 0.2}, {Label: "nowhere", X: math.NaN(), Y: 1}}, nil)
	out["empty scatter"] = report.Scatter("nothing", share, share, nil, nil)
	out["bars"] = report.Bars("bars", report.Axis{Name: "s"}, []report.Bar{{Name: "a", Value: 1}, {Name: "b", Value: math.Inf(1)}}, nil)
	out["decades"] = report.Bars("decades", report.Axis{Name: "s"}, []report.Bar{{Name: "a", Value: 1e-3}, {Name: "b", Value: 20}, {Name: "c"}}, nil)
	out["lines"] = report.Lines("lines", report.Axis{Name: "edits"}, share, []report.Series{
		{Name: "a", X: []float64{1, 2}, Y: []float64{0.1, 0.2}, Band: []float64{0.01, math.NaN()}},
		{Name: "b", X: []float64{1}, Y: []float64{math.NaN()}},
	}, nil)
	heat := report.HeatMap{
		Title: "heat", Lines: []string{"東京 is in 日本 😀"}, Across: "block", Value: "p", High: 1, Marking: "subject",
		Rows: []report.HeatRow{{Name: "東京", Marked: true}, {Name: "\xe6\x9d"}, {Name: "😀"}}, Values: [][]float64{{0.1, 0.9}, {math.NaN(), 0.5}, {0, 1}},
	}
	f, err := heat.Figure()
	if err != nil {
		t.Fatal(err)
	}
	out["heat"] = f
	return out
}

func TestFiguresAreWellFormedAndRepeatable(t *testing.T) {
	again := figures(t)
	for name, f := range figures(t) {
		var svg, second, picture bytes.Buffer
		if err := errors.Join(f.WriteSVG(&svg), again[name].WriteSVG(&second), f.WritePNG(&picture)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(svg.Bytes(), second.Bytes()) {
			t.Errorf("%s: two drawings differ", name)
		}
		for d := xml.NewDecoder(&svg); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%s: not well-formed: %v", name, err)
				break
			}
		}
		if bytes.Contains(second.Bytes(), []byte("NaN")) {
			t.Errorf("%s: NaN was drawn", name)
		}
		if _, err := png.Decode(&picture); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func page(t *testing.T) *report.Page {
	p := &report.Page{Title: "A <title>"}
	p.Paragraph("%d %% of <script>", 5)
	p.Heading("Results")
	p.Table(sample())
	p.Figure(figures(t)["scatter"], "points.svg")
	return p
}

func TestPagesEscapeWhatTheyShow(t *testing.T) {
	var md, html bytes.Buffer
	if err := errors.Join(page(t).WriteMarkdown(&md), page(t).WriteHTML(&html)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# A &lt;title>", "| **0.971 ±0.012** |", `| ft\|x |`, "![points &lt;b>](points.svg)", "## Results", "|---|---:|---:|"} {
		if !strings.Contains(md.String(), want) {
			t.Errorf("Markdown lacks %q:\n%s", want, md.String())
		}
	}
	for _, want := range []string{"<h1>A &lt;title&gt;</h1>", "5 % of &lt;script&gt;", "<svg", `<td class="right best" data-value="0.9712">0.971 <span class="band">±0.012</span></td>`} {
		if !strings.Contains(html.String(), want) {
			t.Errorf("HTML lacks %q", want)
		}
	}
	if strings.Count(html.String(), "<script>") != 1 || strings.Contains(html.String(), "<?xml") {
		t.Error("HTML holds text that was not escaped, or an XML declaration in its middle")
	}
}

// broken fails as a full disk does.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriteErrorsAreReturned(t *testing.T) {
	if sample().WriteText(broken{}, report.Layout{}) == nil || page(t).WriteMarkdown(broken{}) == nil || page(t).WriteHTML(broken{}) == nil {
		t.Error("a failing writer went unnoticed")
	}
	f := figures(t)["bars"]
	if f.WriteSVG(broken{}) == nil || f.WritePNG(broken{}) == nil {
		t.Error("a failing writer went unnoticed by a figure")
	}
}
