package compare

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/report"
)

// base names the model that is edited.
func (m *Runner) base() string { return cmp.Or(m.Model, "the embedded model") }

// caption is what the table shows.
func (m *Runner) caption(r *Result) string {
	first := r.Editors[r.Order[0]]
	return fmt.Sprintf("Editors compared on %s, edits of %s, protocol %s: means over edits with 95 %% bands; the best of each column is bold.", m.base(), first.Data, first.Protocol)
}

// page is the report.
func (m *Runner) page(r *Result, figures []namedFigure) *report.Page {
	p := &report.Page{Title: "Editors compared"}
	p.Paragraph("%s", m.caption(r))
	p.Table(r.Table())
	for _, name := range slices.Sorted(maps.Keys(r.Failed)) {
		p.Paragraph("%s has no figures: %s", name, r.Failed[name])
	}
	for _, f := range figures {
		p.Figure(f.figure, f.name+".svg")
	}
	p.Heading("What the metrics ask")
	p.Glossary(r.glossary())
	p.Heading("How it was measured")
	p.Facts(m.record(r))
	p.Heading("What was compared")
	var editors [][2]string
	for _, e := range m.Editors {
		editors = append(editors, [2]string{e.Label(), e.how()})
	}
	p.Facts(editors)
	return p
}

// glossary describes every metric of the table.
func (r *Result) glossary() []report.Term {
	var out []report.Term
	for _, name := range r.metrics() {
		if d, ok := eval.Described(name); ok {
			out = append(out, report.Term{Name: column(name).Name, About: d.About, Range: d.Range, Source: d.Source, Better: d.Better})
		}
	}
	for _, c := range r.costColumns() {
		span := "from 0"
		switch c.Name {
		case "same token":
			span = "0 to 1"
		case "perplexity":
			span = "from 1"
		}
		out = append(out, report.Term{Name: c.Name, About: c.About, Range: span, Better: c.Better, Source: "measured here"})
	}
	return out
}

// record is how the figures were measured.
func (m *Runner) record(r *Result) [][2]string {
	first := r.Editors[r.Order[0]]
	c := first.Record
	cut := "never"
	if c.MaxLen > 0 {
		cut = fmt.Sprintf("prompts to their last, answers to their first %d tokens", c.MaxLen)
	}
	out := [][2]string{
		{"base model", fmt.Sprintf("%s (hash %.12s…)", m.base(), first.Model)},
		{"edits", fmt.Sprintf("%s, n = %d", first.Data, first.N)},
		{"target", c.Target}, {"decode", c.Decode}, {"match", c.Match}, {"prompts", c.PromptStyle},
		{"locality against", c.LocalityReference}, {"average", c.Average}, {"protocol", c.Protocol}, {"cut", cut},
		{"seed", fmt.Sprint(m.Seed)}, {"band", "half the 95 % band of a mean over edits: 1.96·s/√n"},
	}
	for _, more := range []struct {
		name  string
		value any
		set   bool
	}{{"edits of a round", c.Batch, c.Batch > 0}, {"rounds of a sequence", c.Rounds, c.Rounds > 0}, {"join", c.Join, c.Join != ""},
		{"borrowed prompts", c.Borrowed, c.Borrowed != ""}, {"ends of answers", c.Ends, c.Ends != ""}} {
		if more.set {
			out = append(out, [2]string{more.name, fmt.Sprint(more.value)})
		}
	}
	for _, name := range r.metrics() {
		f, ok := first.Metrics[name]
		if !ok {
			continue
		}
		f.Record.Ends, f.Record.Borrowed = c.Ends, c.Borrowed
		if d := f.Record.Different(c); len(d) > 0 {
			out = append(out, [2]string{column(name).Name + " differs", strings.Join(d, "; ")})
		}
	}
	return out
}
