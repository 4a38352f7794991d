package workbench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/verdict"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/report"
)

// Result is what came of a job.
type Result struct {
	Editor    string            `json:"editor"`
	Model     string            `json:"model"` // hash of the base model
	Requests  int               `json:"requests"`
	Batches   int               `json:"batches"` // edits that were made of them
	Held      bool              `json:"held"`    // every target is said at the end
	Success   bool              `json:"success"` // each was right after its own edit
	Edits     []verdict.Outcome `json:"edits"`   // one for each request
	Conflicts []edit.Conflict   `json:"conflicts,omitempty"`
	Drift     *verdict.Drift    `json:"drift"` // null: the editor refused
	Refused   string            `json:"refused,omitempty"`
	Prompt    string            `json:"prompt"`
	Target    string            `json:"target"`
	Before    string            `json:"before"`
	After     string            `json:"after"`
	Answers   []Asked           `json:"answers"`
	Report    map[string]any    `json:"report"` // figures of the last edit
	Seconds   float64           `json:"edit_seconds"`
	Saved     string            `json:"saved,omitempty"`
	DType     string            `json:"dtype,omitempty"`
	Format    string            `json:"format,omitempty"` // gguf or peft; missing for a Hugging Face folder
	Kept      string            `json:"kept,omitempty"`

	verdict *verdict.Verdict
}

// Asked is one prompt with the model's greedy answers.
type Asked struct {
	Kind   string `json:"kind"` // prompt, paraphrase or neighbor
	Prompt string `json:"prompt"`
	Before string `json:"before"`
	After  string `json:"after"`
}

func (j *Job) result(b *Bench, made *Outcome, hash string) *Result {
	v := made.Verdict
	r := &Result{
		Editor: b.Editor.Name(), Model: hash, Requests: len(v.Requests), Batches: len(made.Edits), Held: v.Held, Success: v.Success,
		Edits: v.Requests, Conflicts: v.Conflicts, Drift: &v.Drift, Report: map[string]any{}, Seconds: made.Seconds, verdict: v,
	}
	if len(v.Requests) > 0 {
		first := v.Requests[0]
		r.Prompt, r.Target, r.Before, r.After = first.Prompt, first.Target, first.Before, first.After
	}
	for _, o := range v.Requests[:min(len(v.Requests), shownEdits)] {
		r.Answers = append(r.Answers, Asked{"prompt", o.Prompt, o.Before, o.After})
	}
	for i, q := range v.Questions {
		kind := "neighbor"
		if i < len(j.Paraphrases) {
			kind = "paraphrase"
		}
		r.Answers = append(r.Answers, Asked{kind, q.Prompt, q.Before, q.After})
	}
	for _, figure := range made.Edits[len(made.Edits)-1].Report {
		r.Report[figure.Name] = figure.Value
	}
	return r
}

// shownEdits is how many edits of a file are shown; of more, those that failed
// come first.
const shownEdits = 10

// Print writes it for people; verbose: with every figure that the editor gives.
func (r *Result) Print(w io.Writer, verbose bool) error {
	t := &report.Table{Columns: []report.Column{
		{Name: ""}, {Name: "prompt"}, {Name: "target"}, {Name: "before"}, {Name: "after"},
		{Name: "p before", Right: true}, {Name: "p after", Right: true}, {Name: "held"},
	}}
	for _, o := range shown(r.Edits) {
		name, held := "prompt", "no"
		if len(r.Edits) > 1 {
			name = o.ID
		}
		if o.Held {
			held = "yes"
		}
		after := verdict.Probability(o.ProbAfter)
		if r.verdict == nil {
			after, held = "–", "–"
		}
		t.Row(report.Line(name), report.Line(o.Prompt), report.Line(o.Target), report.Line(o.Before), report.Line(o.After), verdict.Probability(o.ProbBefore), after, held)
	}
	for _, a := range r.Answers {
		if a.Kind != "prompt" {
			t.Row(a.Kind, report.Line(a.Prompt), "", report.Line(a.Before), report.Line(a.After), "", "", "")
		}
	}
	p := report.To(w)
	p.Table(t)
	if n := len(r.Edits) - shownEdits; n > 0 {
		p.Say("and %d further edits; --json has them all", n)
	}
	figures := ""
	if verbose {
		figures = figuresText(r.Report)
	}
	if r.verdict == nil {
		if figures != "" {
			p.Say("%s%s", r.Editor, figures)
		}
		return p.Err()
	}
	made := fmt.Sprintf("%d edit(s)", r.Requests)
	if r.Requests > 1 && r.Batches == 1 {
		made += " made together, as one,"
	}
	p.Say("%s: %s in %.2f s%s", r.Editor, made, r.Seconds, figures)
	d := r.Drift
	p.Say("held: %d of %d; drift on %d unrelated prompts: %.1f %% answered as before, KL %.3g nats (limit %g)",
		len(r.Edits)-len(r.verdict.Failed()), len(r.Edits), d.Prompts, 100*d.Same, d.KL, d.Limit)
	for _, x := range r.Conflicts {
		p.Say("edits %v", x)
	}
	if r.Saved != "" {
		p.Say("saved the edited model in %s (%s)", r.Saved, r.DType)
	}
	if r.Kept != "" {
		p.Say("kept the edit in %s; see: keyhole edits list %s", r.Kept, console.Shell(r.Kept))
	}
	return p.Err()
}

// shown are the outcomes that a table has room for: all, or those that failed
// before others.
func shown(list []verdict.Outcome) []verdict.Outcome {
	if len(list) <= shownEdits {
		return list
	}
	var failed, held []verdict.Outcome
	for _, o := range list {
		if o.Held {
			held = append(held, o)
		} else {
			failed = append(failed, o)
		}
	}
	return append(failed, held...)[:shownEdits]
}

// figuresText are figures by name, to stand behind a line.
func figuresText(figures map[string]any) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		switch v := figures[name].(type) {
		case float64:
			fmt.Fprintf(&b, ", %s %.4g", name, v)
		case string, bool, int:
			fmt.Fprintf(&b, ", %s %v", name, v)
		}
	}
	return b.String()
}
