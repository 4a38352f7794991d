package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/kept"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/edit/verdict"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/workbench"
)

// unmet says that an edit did not do what was asked for, and was not written.
type unmet struct{ err error }

func (u *unmet) Error() string { return u.err.Error() }
func (u *unmet) Unwrap() error { return u.err }

// run makes the edits, measures them, and writes what shall be kept. With an
// *unmet error there is a result all the same.
func (f *editFlags) run(c *cobra.Command, b *workbench.Bench) (*editResult, error) {
	requests, err := f.requests(c)
	if err != nil {
		return nil, err
	}
	if f.chat {
		if err := f.inChat(b.Model, requests); err != nil {
			return nil, err
		}
	}
	if err := f.fits(b, requests); err != nil {
		return nil, err
	}
	hash, err := b.Model.Hash() // of the base, without edits
	if err != nil {
		return nil, err
	}
	last, undo, err := b.GoOn(c.Context(), f.after, c.ErrOrStderr())
	defer undo()
	if err != nil {
		return nil, err
	}
	if id, ok := workbench.FreeID(last); ok && f.file == "" {
		requests[0].ID = id
	}
	for _, x := range edit.Conflicts(requests) {
		fmt.Fprintf(c.ErrOrStderr(), "edits %v; only one of them can hold\n", x)
	}
	made, err := b.Make(c.Context(), requests, workbench.Plan{
		Last: last, Together: f.together, Known: f.force || f.file != "",
		Verdict: verdict.Options{Tokens: f.tokens, MaxDrift: f.maxDrift, Questions: append(append([]string(nil), f.paraphrases...), f.neighbors...)},
	})
	var unsafe *keyvalue.UnsafeError
	var known *workbench.KnownError
	switch {
	case errors.As(err, &unsafe):
		r := &editResult{Editor: b.Editor.Name(), Model: hash, Requests: len(requests), Edits: made.Before, Refused: err.Error(), Report: map[string]any{}}
		for _, figure := range unsafe.Figures {
			r.Report[figure.Name] = figure.Value
		}
		return r, &unmet{fmt.Errorf("%w; add --force to make the edit all the same", err)}
	case errors.As(err, &known):
		return nil, fmt.Errorf("%w, or add --force", err)
	case err != nil:
		return nil, err
	}
	r := f.result(b, made, hash)
	if problem := made.Verdict.Problem(); problem != "" && !f.force {
		what := "; nothing was written; add --force to write it all the same"
		if f.save == "" && f.keep == "" {
			what = ""
		}
		return r, &unmet{errors.New(problem + what)}
	}
	return r, f.write(b, made.Edits, hash, r)
}

func (f *editFlags) result(b *workbench.Bench, made *workbench.Outcome, hash string) *editResult {
	v := made.Verdict
	r := &editResult{
		Editor: b.Editor.Name(), Model: hash, Requests: len(v.Requests), Batches: len(made.Edits), Held: v.Held, Success: v.Success,
		Edits: v.Requests, Conflicts: v.Conflicts, Drift: &v.Drift, Report: map[string]any{}, Seconds: made.Seconds, verdict: v,
	}
	if len(v.Requests) > 0 {
		first := v.Requests[0]
		r.Prompt, r.Target, r.Before, r.After = first.Prompt, first.Target, first.Before, first.After
	}
	for _, o := range v.Requests[:min(len(v.Requests), shownEdits)] {
		r.Answers = append(r.Answers, asked{"prompt", o.Prompt, o.Before, o.After})
	}
	for i, q := range v.Questions {
		kind := "neighbor"
		if i < len(f.paraphrases) {
			kind = "paraphrase"
		}
		r.Answers = append(r.Answers, asked{kind, q.Prompt, q.Before, q.After})
	}
	for _, figure := range made.Edits[len(made.Edits)-1].Report {
		r.Report[figure.Name] = figure.Value
	}
	return r
}

// write saves the edited model and keeps the edits, as far as asked for: both or
// neither.
func (f *editFlags) write(b *workbench.Bench, edits []*edit.Edited, hash string, r *editResult) error {
	if f.save != "" {
		var list []*edit.Kept
		for _, e := range edits {
			if len(e.Changes) == 0 {
				return errNoWeights(e.Editor)
			}
			list = append(list, &edit.Kept{Path: kept.FileName(e, len(edits)), Model: hash, Edited: e})
		}
		s := f.saving.model(b.Base)
		if err := s.Write(b.Model, b.Engine, list); err != nil {
			return err
		}
		r.Saved, r.DType, r.Format = f.save, f.dtype, s.Format
	}
	if f.keep == "" {
		return nil
	}
	if err := kept.Write(f.keep, edits, hash); err != nil {
		if f.save != "" {
			err = errors.Join(err, os.RemoveAll(f.save))
		}
		return err
	}
	r.Kept = f.keep
	return nil
}

// shownEdits is how many edits of a file are shown; of more, those that failed
// come first.
const shownEdits = 10

func (f *editFlags) print(w io.Writer, r *editResult) error {
	t := &report.Table{Columns: []report.Column{
		{Name: ""}, {Name: "prompt"}, {Name: "target"}, {Name: "before"}, {Name: "after"},
		{Name: "p before", Right: true}, {Name: "p after", Right: true}, {Name: "held"},
	}}
	text := func(s string) report.Cell { return report.Text(oneLine(s)) }
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
		t.Add(text(name), text(o.Prompt), text(o.Target), text(o.Before), text(o.After), text(verdict.Probability(o.ProbBefore)), text(after), text(held))
	}
	for _, a := range r.Answers {
		if a.Kind != "prompt" {
			t.Add(text(a.Kind), text(a.Prompt), text(""), text(a.Before), text(a.After), text(""), text(""), text(""))
		}
	}
	if err := showTable(w, t); err != nil {
		return err
	}
	var errs []error
	say := func(format string, args ...any) {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		errs = append(errs, err)
	}
	if n := len(r.Edits) - shownEdits; n > 0 {
		say("and %d further edits; --json has them all", n)
	}
	figures := ""
	if f.verbose {
		figures = figuresText(r.Report)
	}
	if r.verdict == nil {
		if figures != "" {
			say("%s%s", r.Editor, figures)
		}
		return errors.Join(errs...)
	}
	made := fmt.Sprintf("%d edit(s)", r.Requests)
	if r.Requests > 1 && r.Batches == 1 {
		made += " made together, as one,"
	}
	say("%s: %s in %.2f s%s", r.Editor, made, r.Seconds, figures)
	d := r.Drift
	say("held: %d of %d; drift on %d unrelated prompts: %.1f %% answered as before, KL %.3g nats (limit %g)",
		len(r.Edits)-len(r.verdict.Failed()), len(r.Edits), d.Prompts, 100*d.Same, d.KL, d.Limit)
	for _, x := range r.Conflicts {
		say("edits %v", x)
	}
	if r.Saved != "" {
		say("saved the edited model in %s (%s)", r.Saved, r.DType)
	}
	if r.Kept != "" {
		say("kept the edit in %s; see: keyhole edits list %s", r.Kept, shell(r.Kept))
	}
	return errors.Join(errs...)
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
