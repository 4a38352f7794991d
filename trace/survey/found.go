package survey

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/trace"
)

// Found is what a survey found: one entry for each kind of restored state.
type Found struct {
	Model     string           `json:"model"`
	Results   []*trace.Result  `json:"results,omitempty"` // of one prompt
	Summaries []*trace.Summary `json:"summaries,omitempty"`
	Unknown   int              `json:"unknown,omitempty"` // facts that the model does not know
	LeftOut   map[string]int   `json:"left_out,omitempty"`
	Files     []string         `json:"files"`
}

// Best is the average that suggests a block to edit: of MLP outputs, which is what the
// editors change, or else of what was restored first.
func (f *Found) Best() *trace.Summary {
	for _, s := range f.Summaries {
		if s.Restore == trace.MLP {
			return s
		}
	}
	return f.Summaries[0]
}

// Print writes it for people.
func (f *Found) Print(w io.Writer) error {
	p := report.To(w)
	for _, r := range f.Results {
		token, block := r.Best()
		p.Say("\n%s: p(%s) is %.4f, corrupted %.4f; best restored by token %q in block %d", r.Restore, report.Line(r.Answer).Text, r.Clean, r.Corrupted, r.Label(token), block)
		var rows [][]string // token, best block, effect
		for _, row := range r.Rows() {
			rows = append(rows, row[:3])
		}
		p.Table(report.Grid(rows))
	}
	for _, s := range f.Summaries {
		p.Say("\n%s: %d facts, total effect %.4f ± %.4f; suggested block for ROME: %d", s.Restore, s.Facts, s.Total.Mean, s.Total.Band, s.Suggested)
		rows := [][]string{{"token", "best block", "effect"}}
		for _, e := range s.Effects {
			best := 0
			for l := range e.Blocks {
				if e.Blocks[l].Mean > e.Blocks[best].Mean {
					best = l
				}
			}
			rows = append(rows, []string{e.Tokens, fmt.Sprint(best), fmt.Sprintf("%+.4f ± %.4f", e.Blocks[best].Mean, e.Blocks[best].Band)})
		}
		p.Table(report.Grid(rows))
	}
	if len(f.Summaries) > 0 {
		p.Say("%d facts are not known to the model", f.Unknown)
		for _, reason := range slices.Sorted(maps.Keys(f.LeftOut)) {
			p.Say("left out %d: %s", f.LeftOut[reason], reason)
		}
	}
	p.Say("\nwritten: %s", strings.Join(f.Files, " "))
	return p.Err()
}
