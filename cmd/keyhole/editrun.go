package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/edit/verdict"
	"keyhole.example/keyhole/internal/atomicfile"
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
	last, undo, err := goOn(c, b, f.after)
	defer undo()
	if err != nil {
		return nil, err
	}
	if list, ok := lastMemory(last).(edit.Lister); ok && f.file == "" {
		requests[0].ID = freeID(list)
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
		var kept []*edit.Kept
		for _, e := range edits {
			if len(e.Changes) == 0 {
				return errNoWeights(e.Editor)
			}
			kept = append(kept, &edit.Kept{Path: fileName(e, len(edits)), Model: hash, Edited: e})
		}
		s := f.saving.model(b.Base)
		if err := s.Write(b.Model, b.Engine, kept); err != nil {
			return err
		}
		r.Saved, r.DType, r.Format = f.save, f.dtype, s.Format
	}
	if f.keep == "" {
		return nil
	}
	if err := f.writeKept(edits, hash); err != nil {
		if f.save != "" {
			err = errors.Join(err, os.RemoveAll(f.save))
		}
		return err
	}
	r.Kept = f.keep
	return nil
}

// fileName names an edit's file in a folder, one of several by its request.
func fileName(e *edit.Edited, of int) string {
	if of == 1 || len(e.Requests) != 1 {
		return "edit" + edit.FileExt
	}
	id := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, e.Requests[0].ID)
	return "edit-" + strings.ToValidUTF8(id[:min(len(id), 60)], "") + edit.FileExt
}

func (f *editFlags) writeKept(edits []*edit.Edited, hash string) error {
	forget, err := atomicfile.MakeParent(f.parentOf())
	if err != nil {
		return err
	}
	switch {
	case isStore(f.keep):
		err = keepIn(f.keep, edits[0].Requests)
	case f.keepsFile():
		if err = f.keepIsFree(); err == nil { // it may be a file of the model just saved
			err = edit.WriteFile(f.keep, edits[0], hash)
		}
	default:
		err = writeAll(f.keep, edits, hash)
	}
	if err != nil {
		forget()
	}
	return err
}

// parentOf is a path whose folder has to be there before the edits are written.
func (f *editFlags) parentOf() string {
	if isStore(f.keep) || f.keepsFile() {
		return f.keep
	}
	return filepath.Join(f.keep, "edit")
}

// writeAll writes edits into a folder, a file each: all or none.
func writeAll(dir string, edits []*edit.Edited, hash string) error {
	var paths []string
	for i, e := range edits {
		path := filepath.Join(dir, fmt.Sprintf("%03d-%s", i+1, fileName(e, len(edits))))
		if err := isFree(path); err != nil {
			return err
		}
		paths = append(paths, path)
	}
	for i, e := range edits {
		if err := edit.WriteFile(paths[i], e, hash); err != nil {
			for _, p := range paths[:i] {
				err = errors.Join(err, os.Remove(p))
			}
			return err
		}
	}
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
