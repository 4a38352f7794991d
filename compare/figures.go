package compare

import (
	"fmt"
	"slices"
	"strings"

	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/report"
)

// namedFigure is a plot and its file without the ending.
type namedFigure struct {
	name   string
	figure *report.Figure
}

// figures are the plots of a comparison.
func (m *Runner) figures(r *Result) ([]namedFigure, error) {
	palette := Palette(r.Order...)
	var points []report.Point
	var seconds, memory []report.Bar
	for _, name := range r.Order {
		e := r.Editors[name]
		rel, loc := e.Metrics["reliability"], e.Metrics["locality"]
		points = append(points, report.Point{Label: name, X: loc.Mean, Y: rel.Mean, XBand: loc.Band, YBand: rel.Band})
		seconds = append(seconds, report.Bar{Name: name, Value: e.EditSeconds})
		memory = append(memory, report.Bar{Name: name, Value: float64(e.PeakBytes) / (1 << 20), Text: report.Bytes(e.PeakBytes)})
	}
	share := func(name string) report.Axis { return report.Axis{Name: name, Lo: 0, Hi: 1} }
	out := []namedFigure{
		{"reliability-locality", report.Scatter("reliability against locality, with 95 % bands", share("locality"), share("reliability"), points, palette)},
		{"time", report.Bars("time of one edit", report.Axis{Name: "seconds"}, seconds, palette)},
		{"memory", report.Bars("peak memory", report.Axis{Name: "MiB"}, memory, palette)},
	}
	if !eval.InSequence(m.Protocol) {
		return out, nil
	}
	for _, metric := range []string{"reliability", "locality"} {
		series, err := m.bySequence(r, metric)
		if err != nil {
			return nil, err
		}
		out = append(out, namedFigure{metric + "-sequence", report.Lines(metric+" along the sequence, over tenths of it", report.Axis{Name: "edits"}, share(metric), series, palette)})
	}
	return out, nil
}

// bySequence is a metric of each editor, averaged over tenths of the sequence.
func (m *Runner) bySequence(r *Result, metric string) ([]report.Series, error) {
	var out []report.Series
	for _, name := range r.Order {
		res, err := eval.LoadResults(m.results(name))
		if err != nil {
			return nil, fmt.Errorf("compare: %w", err)
		}
		res.Lines = slices.DeleteFunc(res.Lines, func(l eval.Line) bool { return l.Asked != "" || l.Ability != nil })
		s := report.Series{Name: name}
		part := max(1, (len(res.Lines)+9)/10)
		for lo := 0; lo < len(res.Lines); lo += part {
			sum, n := 0.0, 0
			hi := min(lo+part, len(res.Lines))
			for _, l := range res.Lines[lo:hi] {
				if t, ok := l.Values[metric]; ok {
					sum, n = sum+t.Sum/float64(t.N), n+1
				}
			}
			if n > 0 {
				s.X, s.Y = append(s.X, float64(hi)), append(s.Y, sum/float64(n))
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// how says what an entry is, for the page.
func (e Entry) how() string {
	text := "editor " + e.Editor
	if e.trained() && e.Editor != "" {
		text += " of " + strings.TrimSpace(e.Run+" "+e.Train)
	}
	if e.Editor == "" {
		text = strings.TrimSpace("trained: " + e.Run + " " + e.Train)
	}
	if len(e.Set) > 0 {
		text += " with " + strings.Join(e.Set, ", ")
	}
	return text
}
