package verdict

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
)

// MaxDrift is the limit of a drift's KL unless told otherwise, in nats. What
// edits of the editors here reach, and broken models, is in
// docs/decisions/0013-verdict.md.
const MaxDrift = 1

// Options say how an edit is measured. The zero value is the default.
type Options struct {
	Prompts  []string // unrelated to the edit; nil: those of the model's family
	Tokens   int      // of each answer; 0: 8
	Answers  int      // so many first requests get answers, for the others the tokens in the target's place stand; 0: 100
	MaxDrift float64  // limit of the drift's KL, in nats; 0: MaxDrift
	// Questions are further prompts to be answered before and after.
	Questions []string
	// Last is the latest of earlier edits that are in the model, with its memory;
	// nil: there is none.
	Last *edit.Edited
}

// Judge measures edits of one model. It is for one goroutine at a time.
type Judge struct {
	m        *lm.Model
	o        *eager.Ops
	opts     Options
	requests []edit.Request
	out      []Outcome
	asked    []Change

	set     string
	prompts []string
	before  []row // behind the prompts
}

// Begin measures a model as it is before requests are made true.
func Begin(ctx context.Context, m *lm.Model, k *kernel.Engine, requests []edit.Request, o Options) (*Judge, error) {
	if m.Tokenizer == nil {
		return nil, errors.New("verdict: the model has no tokenizer; put tokenizer.json beside its weights")
	}
	for _, d := range []struct {
		to *int
		v  int
	}{{&o.Tokens, 8}, {&o.Answers, 100}} {
		if *d.to == 0 {
			*d.to = d.v
		}
	}
	if o.MaxDrift == 0 {
		o.MaxDrift = MaxDrift
	}
	j := &Judge{m: m, o: eager.New(k), opts: o, requests: slices.Clone(requests), set: "given", prompts: o.Prompts}
	if j.prompts == nil {
		f, err := family.Of(m)
		if err != nil {
			return nil, fmt.Errorf("verdict: %w", err)
		}
		j.set, j.prompts = f.Name, f.Prompts
	}
	j.prompts = unrelated(j.prompts, requests)
	said, err := j.askAll(ctx, o.Last)
	if err != nil {
		return nil, fmt.Errorf("before the edit: %w", err)
	}
	for i, r := range requests {
		j.out = append(j.out, Outcome{
			ID: r.ID, Prompt: r.Prompt, Target: r.Target, Before: said[i].text, ProbBefore: said[i].prob, Known: said[i].right,
		})
	}
	for _, q := range o.Questions {
		a, err := j.answer(q, o.Last)
		if err != nil {
			return nil, fmt.Errorf("before the edit: %w", err)
		}
		j.asked = append(j.asked, Change{Prompt: q, Before: a})
	}
	if j.before, err = j.rows(ctx, j.prompts, o.Last); err != nil {
		return nil, fmt.Errorf("before the edit: %w", err)
	}
	return j, nil
}

// unrelated are the prompts that are about no request.
func unrelated(prompts []string, requests []edit.Request) []string {
	return slices.DeleteFunc(slices.Clone(prompts), func(p string) bool {
		return slices.ContainsFunc(requests, func(r edit.Request) bool {
			return r.Subject != "" && strings.Contains(p, r.Subject) || strings.Contains(p, strings.TrimSpace(r.Prompt))
		})
	})
}

// Outcomes are what is known so far, in the order of the requests.
func (j *Judge) Outcomes() []Outcome { return slices.Clone(j.out) }

// Note says that the requests [lo, hi) have just been made true in the model as
// it is now by e, whose context or adapter is asked with.
func (j *Judge) Note(ctx context.Context, lo, hi int, e *edit.Edited) error {
	for i := lo; i < hi; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		said, err := j.ask(j.requests[i], e, j.opts.Tokens)
		if err != nil {
			return fmt.Errorf("after the edit: %w", err)
		}
		j.out[i].Success = said.right
	}
	return nil
}

// End measures the model as it is with all edits made, of which e is the last.
func (j *Judge) End(ctx context.Context, e *edit.Edited) (*Verdict, error) {
	said, err := j.askAll(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("after the edit: %w", err)
	}
	v := &Verdict{Held: true, Success: true, Requests: slices.Clone(j.out), Conflicts: edit.Conflicts(j.requests)}
	for i := range v.Requests {
		o := &v.Requests[i]
		o.After, o.ProbAfter, o.Held = said[i].text, said[i].prob, said[i].right
		v.Held, v.Success = v.Held && o.Held, v.Success && o.Success
		if math.IsNaN(o.ProbAfter) {
			o.ProbAfter, v.Drift.NaN = 0, true // JSON has no other numbers
		}
	}
	for _, q := range j.asked {
		if q.After, err = j.answer(q.Prompt, e); err != nil {
			return nil, fmt.Errorf("after the edit: %w", err)
		}
		v.Questions = append(v.Questions, q)
	}
	return v, j.drift(ctx, v, e)
}

// Measure is the verdict on one edit of the model as it is, which it is again
// when Measure returns.
func Measure(ctx context.Context, m *lm.Model, k *kernel.Engine, d *edit.Edited, o Options) (*Verdict, error) {
	j, err := Begin(ctx, m, k, d.Requests, o)
	if err != nil {
		return nil, err
	}
	undo, err := d.Install(m, k)
	if err != nil {
		return nil, err
	}
	defer undo()
	if err := j.Note(ctx, 0, len(d.Requests), d); err != nil {
		return nil, err
	}
	return j.End(ctx, d)
}

// drift compares what is behind the unrelated prompts now with what was.
func (j *Judge) drift(ctx context.Context, v *Verdict, e *edit.Edited) error {
	const shown = 5
	d := &v.Drift
	d.Set, d.Limit, d.Prompts = j.set, j.opts.MaxDrift, len(j.prompts)
	now, err := j.rows(ctx, j.prompts, e)
	if err != nil {
		return fmt.Errorf("after the edit: %w", err)
	}
	same := 0
	for i, a := range j.before {
		b := now[i]
		kl := a.divergence(b)
		if math.IsNaN(kl) || math.IsInf(kl, 0) {
			d.NaN = true
			continue
		}
		d.KL += kl
		if a.best == b.best {
			same++
		} else if len(d.Examples) < shown {
			d.Examples = append(d.Examples, Change{j.prompts[i], j.m.Tokenizer.Decode([]int32{a.best}), j.m.Tokenizer.Decode([]int32{b.best})})
		}
	}
	if n := float64(len(j.before)); n > 0 {
		d.KL, d.Same = d.KL/n, float64(same)/n
	}
	d.Broken = d.NaN || d.KL > d.Limit
	return nil
}
