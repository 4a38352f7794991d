package main

import (
	"fmt"
	"io"

	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/report"
)

// printSequence writes for people what only edits in a row have.
func printSequence(w io.Writer, s *eval.Sequence) error {
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
		t.Add(report.Text(fmt.Sprintf("%.1f", a.Age)), report.Text(fmt.Sprint(a.Edits)), report.Number(a.Reliability, 0, 3),
			share(a.Generalization), share(a.Locality), share(a.Retention))
	}
	if err := showTable(w, t); err != nil {
		return err
	}
	for _, line := range sequenceLines(s) {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// sequenceLines say what no table has.
func sequenceLines(s *eval.Sequence) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if f, ok := s.AtOnce["reliability"]; ok {
		say("right after their own round: reliability %.3f, of %d edits", f.Mean, f.Cases)
	}
	if s.Retention != nil {
		say("of the edits that were right then, %.3f are at the end", *s.Retention)
	}
	if a := s.Ability; a != nil {
		if a.NotFinite {
			say("on the text for general ability the edited model computes no numbers")
		} else {
			say("general ability: perplexity %.4g, before %.4g; the same next token %.3f; KL %.4f nats; %d tokens", a.Perplexity, a.PerplexityBefore, a.Agreement, a.KL, a.Tokens)
		}
		say("bytes per edit %.0f", s.BytesPerEdit)
		say("generated token %.4f s, before %.4f s", s.TokenSeconds, s.TokenSecondsBefore)
	}
	return out
}
