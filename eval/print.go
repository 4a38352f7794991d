package eval

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/report"
)

// comparesWithBase tells the metrics that say what an edit changed.
func comparesWithBase(name string) bool {
	base := baseOf(name)
	return strings.HasPrefix(base, "locality") || strings.HasSuffix(base, "_before") ||
		slices.Contains([]string{"S_hm", "drawdown", "forgetting", "NKL"}, base)
}

// Print writes the evaluation for people; all: every figure, also by kind of prompt
// and before the edit.
func (r *Report) Print(w io.Writer, all bool) error {
	t := &report.Table{
		Columns: []report.Column{{Name: r.Editor + " on " + r.Data}, {Name: "mean", Right: true}, {Name: "cases", Right: true}},
		Note:    r.Record.Footnote(),
	}
	alone := r.Editor == catalog.None // every comparison would be of the model with itself
	var names []string
	for name := range r.Metrics {
		if !all && (baseOf(name) != name && !strings.HasSuffix(name, ".borrowed") || strings.HasSuffix(name, "_before")) {
			continue
		}
		if alone && comparesWithBase(name) {
			continue
		}
		names = append(names, name)
	}
	order := Metrics()
	at := func(name string) int {
		return slices.IndexFunc(order, func(m Metric) bool { return m.Name == baseOf(name) })
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(at(a), at(b)), cmp.Compare(a, b)) })
	for _, name := range names {
		f := r.Metrics[name]
		t.Row(name, report.Number(f.Mean, f.Band, 3), f.Cases)
	}
	p := report.To(w)
	p.Table(t)
	printTexts(p, r.Texts)
	if r.Sequence != nil {
		r.Sequence.print(p)
	}
	if alone {
		p.Say("this is one model: what an edit left alone cannot be told; for a model that was edited elsewhere, name the one that it was edited from with --base")
	}
	if r.PeakBytes > 0 {
		p.Say("n %d, %.1f edits/s, %.3f s per edit, peak memory %s", r.N, r.EditsPerSecond, r.EditSeconds, report.Bytes(r.PeakBytes))
	}
	for _, note := range r.Notes {
		p.Say("note: %s", note)
	}
	for _, m := range r.Missing {
		p.Say("the data do not tell: %s", m)
	}
	const shown = 5
	left := slices.Concat(r.Dropped, r.Skipped)
	for _, d := range left[:min(len(left), shown)] {
		p.Say("left out %d%s: %s", d.Count, map[bool]string{true: ", for example"}[d.Count > 1], shortened(d.Reason))
	}
	if len(left) > shown {
		p.Say("and %d further reasons; --json has them", len(left)-shown)
	}
	if r.Cut > 0 {
		p.Say("%d prompts or answers were cut at %d tokens (--max-len), for making and asking the edits alike", r.Cut, r.Record.MaxLen)
	}
	if r.NotFinite > 0 {
		p.Say("%d edited models computed values that are no numbers", r.NotFinite)
	}
	return p.Err()
}

// shortened cuts a reason for people, between characters.
func shortened(s string) string {
	const most = 200 // bytes
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// printTexts writes what was asked and answered, a row for each prompt.
func printTexts(p *report.Printer, list []EditTexts) {
	if len(list) == 0 {
		return
	}
	t := &report.Table{Columns: []report.Column{{Name: "edit"}, {Name: "prompt"}, {Name: "expected"}, {Name: "before"}, {Name: "after"}, {Name: "counts"}}}
	for _, e := range list {
		id := e.ID
		if e.Asked != "" {
			id += " (" + e.Asked + ")"
		}
		for _, s := range e.Texts {
			var counts []string
			for _, name := range slices.Sorted(maps.Keys(s.Values)) {
				if strings.HasSuffix(baseOf(name), "_before") {
					continue
				}
				counts = append(counts, fmt.Sprintf("%s %.3g", name, s.Values[name]))
			}
			t.Row(id, report.Line(s.Prompt), report.Line(s.Expected), report.Line(s.Before), report.Line(s.After), strings.Join(counts, ", "))
		}
	}
	p.Table(t)
}

// print writes for people what only edits in a row have.
func (s *Sequence) print(p *report.Printer) {
	t := &report.Table{Columns: []report.Column{
		{Name: "rounds ago"}, {Name: "edits", Right: true}, {Name: "reliability", Right: true}, {Name: "generalization", Right: true},
		{Name: "locality", Right: true}, {Name: "retention", Right: true},
	}}
	share := func(v *float64) report.Cell {
		if v == nil {
			return report.Text("–")
		}
		return report.Number(*v, 0, 3)
	}
	for _, a := range s.ByAge {
		t.Row(fmt.Sprintf("%.1f", a.Age), a.Edits, report.Number(a.Reliability, 0, 3), share(a.Generalization), share(a.Locality), share(a.Retention))
	}
	p.Table(t)
	if f, ok := s.AtOnce["reliability"]; ok {
		p.Say("right after their own round: reliability %.3f, of %d edits", f.Mean, f.Cases)
	}
	if s.Retention != nil {
		p.Say("of the edits that were right then, %.3f are at the end", *s.Retention)
	}
	if a := s.Ability; a != nil {
		if a.NotFinite {
			p.Say("on the text for general ability the edited model computes no numbers")
		} else {
			p.Say("general ability: perplexity %.4g, before %.4g; the same next token %.3f; KL %.4f nats; %d tokens", a.Perplexity, a.PerplexityBefore, a.Agreement, a.KL, a.Tokens)
		}
		p.Say("bytes per edit %.0f", s.BytesPerEdit)
		p.Say("generated token %.4f s, before %.4f s", s.TokenSeconds, s.TokenSecondsBefore)
	}
}
