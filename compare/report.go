package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/report"
)

// extraMetrics are shown beside the four if the data give them.
func extraMetrics() []string {
	return []string{"ES", "PS", "NS", "S", "portability", "reverse", "locality.borrowed"}
}

// Table is one row for each editor. "none" competes for no first place.
func (r *Result) Table() *report.Table {
	t := &report.Table{Columns: []report.Column{
		{Name: "editor"}, {Name: "n", Right: true}, {Name: "reliability", Right: true, Better: 1}, {Name: "generalization", Right: true, Better: 1},
		{Name: "locality", Right: true, Better: 1}, {Name: "locality KL", Right: true, Better: -1},
	}}
	var extra []string
	for _, name := range extraMetrics() {
		if _, ok := r.Editors[r.Order[0]].Metrics[name]; ok {
			extra = append(extra, name)
			t.Columns = append(t.Columns, report.Column{Name: name, Right: true, Better: 1})
		}
	}
	ability := r.Editors[r.Order[0]].Sequence != nil && r.Editors[r.Order[0]].Sequence.Ability != nil
	if ability {
		t.Columns = append(t.Columns, report.Column{Name: "perplexity", Right: true, Better: -1}, report.Column{Name: "same token", Right: true, Better: 1},
			report.Column{Name: "bytes/edit", Right: true, Better: -1}, report.Column{Name: "s/token", Right: true, Better: -1})
	}
	t.Columns = append(t.Columns, report.Column{Name: "s/edit", Right: true, Better: -1}, report.Column{Name: "peak memory", Right: true, Better: -1})
	for _, name := range r.Order {
		e := r.Editors[name]
		row := []report.Cell{report.Text(name), report.Text(fmt.Sprint(e.N))}
		for _, m := range append([]string{"reliability", "generalization", "locality", "locality_kl"}, extra...) {
			f, ok := e.Metrics[m]
			if !ok {
				row = append(row, report.Text("–"))
				continue
			}
			row = append(row, report.Number(f.Mean, f.Band, 3))
		}
		if ability {
			row = append(row, abilityCells(e.Sequence)...)
		}
		row = append(row, report.Number(e.EditSeconds, 0, 4), report.Scaled(float64(e.PeakBytes), report.Bytes(e.PeakBytes)))
		if e.Editor == "none" {
			for i := range row {
				row[i].Plain = true
			}
		}
		t.Add(row...)
	}
	t.Note = r.Editors[r.Order[0]].Record.Footnote() + r.counts(append([]string{"reliability", "generalization", "locality", "locality_kl"}, extra...))
	t.MarkBest()
	return t
}

// counts says over how many records a figure is where these are not all, and
// how many prompts or answers were cut.
func (r *Result) counts(names []string) string {
	var out strings.Builder
	for _, name := range r.Order {
		e := r.Editors[name]
		var few []string
		for _, m := range names {
			if f, ok := e.Metrics[m]; ok && f.Cases != e.N {
				few = append(few, fmt.Sprintf("%s %d", m, f.Cases))
			}
		}
		if len(few) > 0 {
			fmt.Fprintf(&out, "; %s, records: %s of %d", name, strings.Join(few, ", "), e.N)
		}
		if e.Cut > 0 {
			fmt.Fprintf(&out, "; %s: %d prompts or answers cut", name, e.Cut)
		}
	}
	return out.String()
}

// abilityCells are the columns of general ability and cost.
func abilityCells(s *eval.Sequence) []report.Cell {
	a := s.Ability
	perplexity, same := report.Number(a.Perplexity, 0, 2), report.Number(a.Agreement, 0, 3)
	if a.NotFinite {
		perplexity, same = report.Text("–"), report.Text("–")
	} else if a.Perplexity >= 1e5 {
		perplexity = report.Scaled(a.Perplexity, fmt.Sprintf("%.0e", a.Perplexity))
	}
	return []report.Cell{perplexity, same, report.Scaled(s.BytesPerEdit, report.Bytes(int64(s.BytesPerEdit))), report.Number(s.TokenSeconds, 0, 4)}
}

// Write puts results.jsonl and the two reports with their plots into the
// comparison's folder.
func (m *Runner) Write(r *Result) error {
	figures, err := m.figures(r)
	if err != nil {
		return err
	}
	page := m.page(r, figures)
	files := []struct {
		name string
		fill func(io.Writer) error
	}{{"results.jsonl", r.writeLines}, {"report.md", page.WriteMarkdown}, {"report.html", page.WriteHTML}}
	for _, f := range figures {
		files = append(files, struct {
			name string
			fill func(io.Writer) error
		}{f.name + ".svg", f.figure.WriteSVG}, struct {
			name string
			fill func(io.Writer) error
		}{f.name + ".png", f.figure.WritePNG})
	}
	for _, f := range files {
		path := filepath.Join(m.Dir, f.name)
		if err := atomicfile.Write(path, f.fill); err != nil {
			return err
		}
		r.Files = append(r.Files, path)
	}
	return nil
}

// writeLines writes one JSON line for each editor.
func (r *Result) writeLines(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, name := range r.Order {
		line := struct {
			Name string `json:"name"`
			*eval.Report
		}{name, r.Editors[name]}
		if err := e.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

type namedFigure struct {
	name   string
	figure *report.Figure
}

// figures are the plots of a comparison.
func (m *Runner) figures(r *Result) ([]namedFigure, error) {
	var points []report.Point
	var seconds, memory []float64
	for _, name := range r.Order {
		e := r.Editors[name]
		rel, loc := e.Metrics["reliability"], e.Metrics["locality"]
		points = append(points, report.Point{Label: name, X: loc.Mean, Y: rel.Mean, XBand: loc.Band, YBand: rel.Band})
		seconds, memory = append(seconds, e.EditSeconds), append(memory, float64(e.PeakBytes)/(1<<20))
	}
	share := func(name string) report.Axis { return report.Axis{Name: name, Lo: -0.05, Hi: 1.1} }
	scatter, err := report.Scatter("reliability against locality", share("locality"), share("reliability"), points)
	if err != nil {
		return nil, err
	}
	time, err := report.Bars("time of one edit", report.Axis{Name: "seconds"}, r.Order, seconds)
	if err != nil {
		return nil, err
	}
	mem, err := report.Bars("peak memory", report.Axis{Name: "MiB"}, r.Order, memory)
	if err != nil {
		return nil, err
	}
	out := []namedFigure{{"reliability-locality", scatter}, {"time", time}, {"memory", mem}}
	if !strings.HasPrefix(m.Protocol, "sequential") {
		return out, nil
	}
	for _, metric := range []string{"reliability", "locality"} {
		series, err := m.bySequence(r, metric)
		if err != nil {
			return nil, err
		}
		f, err := report.Lines(metric+" along the sequence", report.Axis{Name: "edits"}, share(metric), series)
		if err != nil {
			return nil, err
		}
		out = append(out, namedFigure{metric + "-sequence", f})
	}
	return out, nil
}

// bySequence is a metric of each editor, averaged over tenths of the sequence.
func (m *Runner) bySequence(r *Result, metric string) ([]report.Series, error) {
	var out []report.Series
	for _, name := range r.Order {
		f, err := os.Open(m.results(name))
		if err != nil {
			return nil, fmt.Errorf("compare: %w", err)
		}
		res, err := eval.ReadResults(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("compare: %s: %w", m.results(name), err)
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

// page is the report.
func (m *Runner) page(r *Result, figures []namedFigure) *report.Page {
	first := r.Editors[r.Order[0]]
	p := &report.Page{Title: "Editors compared"}
	model := m.Model
	if model == "" {
		model = "the embedded model"
	}
	p.Paragraph("Base model %s (%.12s…), edits of %s, protocol %s. Means over edits with 95 %% bands; the best of each column is bold.", model, first.Model, first.Data, first.Protocol)
	p.Table(r.Table())
	for _, name := range slices.Sorted(maps.Keys(r.Failed)) {
		p.Paragraph("%s has no figures: %s", name, r.Failed[name])
	}
	for _, f := range figures {
		p.Figure(f.figure, f.name+".svg")
	}
	p.Heading("How it was measured")
	p.Paragraph("%s", first.Record.Footnote())
	for _, e := range m.Editors {
		how := "editor " + e.Editor
		if e.Editor == "" {
			how = strings.TrimSpace("trained: " + e.Run + " " + e.Train)
		}
		if len(e.Set) > 0 {
			how += " with " + strings.Join(e.Set, ", ")
		}
		p.Paragraph("%s: %s", e.Label(), how)
	}
	return p
}
