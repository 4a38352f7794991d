package compare

import (
	"fmt"
	"strings"

	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/report"
)

// extraMetrics are shown beside the four if the data give them.
func extraMetrics() []string {
	return []string{"ES", "PS", "NS", "S", "portability", "reverse", "locality.borrowed"}
}

// metrics are those of the table: the four, and the extra ones that there are.
func (r *Result) metrics() []string {
	names := []string{"reliability", "generalization", "locality", "locality_kl"}
	for _, name := range extraMetrics() {
		if _, ok := r.Editors[r.Order[0]].Metrics[name]; ok {
			names = append(names, name)
		}
	}
	return names
}

// column is that of a metric.
func column(name string) report.Column {
	c := report.Column{Name: name, Right: true, Better: 1, Rank: 2}
	if m, ok := eval.Described(name); ok {
		c.About, c.Better = m.About, m.Better
	}
	switch name {
	case "reliability", "generalization", "locality":
		c.Rank = 0
	case "locality_kl":
		c.Name, c.Unit = "locality KL", "nats"
	}
	return c
}

// ability tells whether the editors were asked for what a sequence of edits left.
func (r *Result) ability() bool {
	s := r.Editors[r.Order[0]].Sequence
	return s != nil && s.Ability != nil
}

// costColumns are general ability and cost.
func (r *Result) costColumns() []report.Column {
	var out []report.Column
	if r.ability() {
		out = append(out,
			report.Column{Name: "perplexity", Right: true, Better: -1, Rank: 3, About: "of the edited model on the text for general ability"},
			report.Column{Name: "same token", Right: true, Better: 1, Rank: 3, About: "share of that text's tokens where both models predict the same"},
			report.Column{Name: "bytes/edit", Right: true, Better: -1, Rank: 4, About: "what an edit takes up"},
			report.Column{Name: "s/token", Right: true, Better: -1, Rank: 4, About: "seconds for a generated token"})
	}
	return append(out,
		report.Column{Name: "s/edit", Right: true, Better: -1, Rank: 1, About: "seconds that making an edit takes"},
		report.Column{Name: "peak memory", Unit: "bytes", Right: true, Better: -1, Rank: 3, About: "most memory that the process held"})
}

// Table is one row for each editor. "none" competes for no first place.
func (r *Result) Table() *report.Table {
	t := &report.Table{Columns: []report.Column{{Name: "editor"}, {Name: "n", Right: true, Rank: 5, About: "edits evaluated"}}}
	names := r.metrics()
	for _, name := range names {
		t.Columns = append(t.Columns, column(name))
	}
	t.Columns = append(t.Columns, r.costColumns()...)
	for _, name := range r.Order {
		e := r.Editors[name]
		row := []report.Cell{report.Text(name), report.Text(fmt.Sprint(e.N))}
		for _, m := range names {
			f, ok := e.Metrics[m]
			if !ok {
				row = append(row, report.Text("–"))
				continue
			}
			row = append(row, report.Number(f.Mean, f.Band, 3))
		}
		if r.ability() {
			row = append(row, abilityCells(e.Sequence)...)
		}
		row = append(row, report.Number(e.EditSeconds, 0, 4), report.Scaled(float64(e.PeakBytes), report.Bytes(e.PeakBytes)))
		if e.Editor == catalog.None {
			for i := range row {
				row[i].Plain = true
			}
		}
		t.Add(row...)
	}
	t.Note = r.Editors[r.Order[0]].Record.Footnote() + r.counts(names)
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
