package workbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/kept"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/edit/verdict"
	"keyhole.example/keyhole/lm"
)

// Job is an edit as somebody asks for it: what is changed, what is asked beside it, and
// where it goes.
type Job struct {
	Requests               []edit.Request
	Unnamed                bool     // the ID of the only request is free: behind a memory it gets one
	Paraphrases, Neighbors []string // asked before and after
	Chat                   bool     // all prompts are put into the model's chat template

	After    []string // files of earlier edits, a sequence in its order
	Together bool     // one edit of all requests
	Force    bool     // also where the model says the target, and where the edit did not take
	Tokens   int      // of each answer
	MaxDrift float64  // nats

	Save *saved.Model // how the edited model is written; nil: not at all
	Keep string       // where the edit is kept, as kept.Write has it; "": nowhere
}

// Shown is a job that shows what the edit of a record comes to: it asks one of its
// paraphrases, and a neighbour of each kind.
func Shown(record *data.Edit) Job {
	j := Job{Requests: edit.Requests(record), Unnamed: true, Tokens: 4, Force: true, MaxDrift: verdict.MaxDrift}
	j.Paraphrases = slices.Clone(record.Paraphrases[:min(1, len(record.Paraphrases))])
	for _, kind := range []string{data.Unrelated, data.Neighborhood} {
		if p := record.Locality[kind]; len(p) > 0 {
			j.Neighbors = append(j.Neighbors, p[0].Prompt)
		}
	}
	return j
}

// UnmetError says that an edit did not do what was asked for, and was not written.
type UnmetError struct{ err error }

func (u *UnmetError) Error() string { return u.err.Error() }
func (u *UnmetError) Unwrap() error { return u.err }

// Do makes the edits with the bench's editor, measures them, and writes what shall be
// kept. With an *UnmetError there is a result all the same. notes takes what is taken
// for granted.
func (b *Bench) Do(ctx context.Context, j Job, notes io.Writer) (*Result, error) {
	if j.Chat {
		if err := j.inChat(b.Model); err != nil {
			return nil, err
		}
	}
	if b.InContext() && j.Save != nil {
		return nil, errNoWeights(b.Editor.Name())
	}
	if b.InContext() && j.Keep != "" {
		if _, err := kept.StoreWith(j.Keep, j.Requests); err != nil {
			return nil, err
		}
	}
	hash, err := b.Model.Hash() // of the base, without edits
	if err != nil {
		return nil, err
	}
	last, undo, err := b.GoOn(ctx, j.After, notes)
	defer undo()
	if err != nil {
		return nil, err
	}
	if id, ok := freeID(last); ok && j.Unnamed {
		j.Requests[0].ID = id
	}
	for _, x := range edit.Conflicts(j.Requests) {
		fmt.Fprintf(notes, "edits %v; only one of them can hold\n", x)
	}
	made, err := b.Make(ctx, j.Requests, Plan{
		Last: last, Together: j.Together, Known: j.Force || !j.Unnamed,
		Verdict: verdict.Options{Tokens: j.Tokens, MaxDrift: j.MaxDrift, Questions: slices.Concat(j.Paraphrases, j.Neighbors)},
	})
	var unsafe *keyvalue.UnsafeError
	var known *KnownError
	switch {
	case errors.As(err, &unsafe):
		r := &Result{Editor: b.Editor.Name(), Model: hash, Requests: len(j.Requests), Edits: made.Before, Refused: err.Error(), Report: map[string]any{}}
		for _, figure := range unsafe.Figures {
			r.Report[figure.Name] = figure.Value
		}
		return r, &UnmetError{fmt.Errorf("%w; add --force to make the edit all the same", err)}
	case errors.As(err, &known):
		return nil, fmt.Errorf("%w, or add --force", err)
	case err != nil:
		return nil, err
	}
	r := j.result(b, made, hash)
	if problem := made.Verdict.Problem(); problem != "" && !j.Force {
		what := "; nothing was written; add --force to write it all the same"
		if j.Save == nil && j.Keep == "" {
			what = ""
		}
		return r, &UnmetError{errors.New(problem + what)}
	}
	return r, j.write(b, made.Edits, hash, r)
}

// inChat puts all prompts into the model's chat template; answers follow without a
// space.
func (j *Job) inChat(m *lm.Model) error {
	template, err := m.Chat()
	if err != nil {
		return err
	}
	var prompts []*string
	for i := range j.Requests {
		j.Requests[i].Join = data.JoinNone
		prompts = append(prompts, &j.Requests[i].Prompt)
	}
	for _, list := range [][]string{j.Paraphrases, j.Neighbors} {
		for i := range list {
			prompts = append(prompts, &list[i])
		}
	}
	for _, p := range prompts {
		if *p, err = template.Ask(*p); err != nil {
			return err
		}
	}
	return nil
}

// write saves the edited model and keeps the edits, as far as asked for: both or
// neither.
func (j *Job) write(b *Bench, edits []*edit.Edited, hash string, r *Result) error {
	if s := j.Save; s != nil {
		var list []*edit.Kept
		for _, e := range edits {
			if len(e.Changes) == 0 {
				return errNoWeights(e.Editor)
			}
			list = append(list, &edit.Kept{Path: kept.FileName(e, len(edits)), Model: hash, Edited: e})
		}
		s.Base = b.Base
		if err := s.Write(b.Model, b.Engine, list); err != nil {
			return err
		}
		r.Saved, r.DType, r.Format = s.Dir, s.DType, s.Format
	}
	if j.Keep == "" {
		return nil
	}
	if err := kept.Write(j.Keep, edits, hash); err != nil {
		if j.Save != nil {
			err = errors.Join(err, os.RemoveAll(j.Save.Dir))
		}
		return err
	}
	r.Kept = j.Keep
	return nil
}

func errNoWeights(editor string) error {
	return fmt.Errorf("editor %s changes no weights, so there is no edited model to save; keep the edit with --keep", editor)
}
