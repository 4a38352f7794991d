package eval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"keyhole.example/keyhole/edit"
)

// trial is a record on its way: its case, its edit, or why there is none.
type trial struct {
	index   int
	c       *Case
	edited  *edit.Edited
	dropped string
}

func (r *run) evaluate(ctx context.Context) error {
	var err error
	switch r.Protocol {
	case "single_restore":
		err = r.single(ctx)
	case "batch":
		err = r.batches(ctx)
	default:
		err = r.sequential(ctx)
	}
	if r.divided() {
		return err
	}
	return errors.Join(err, r.mark())
}

// cases plans records [lo, hi).
func (r *run) cases(lo, hi int) []*trial {
	var out []*trial
	for i := lo; i < hi; i++ {
		t := &trial{index: i}
		var err error
		if t.c, err = r.plan.plan(i); err != nil {
			t.dropped = err.Error()
		}
		out = append(out, t)
	}
	return out
}

// usable are the trials that were not dropped.
func usable(list []*trial) []*trial {
	return slices.DeleteFunc(slices.Clone(list), func(t *trial) bool { return t.dropped != "" })
}

// timed runs fn and adds its time to *to.
func timed(to *time.Duration, fn func() error) error {
	start := time.Now()
	err := fn()
	*to += time.Since(start)
	return err
}

// single makes and scores Pack independent edits at a time.
func (r *run) single(ctx context.Context) error {
	return r.inPieces(ctx, r.done, r.Pack, func(lo, hi int) error {
		list := r.cases(lo, hi)
		if err := timed(&r.editTime, func() error { return r.applyEach(ctx, usable(list)) }); err != nil {
			return err
		}
		return r.scoreAndPut(list, r.firstBlock(usable(list)))
	})
}

// firstBlock is the lowest block that the trials' edits change.
func (r *run) firstBlock(list []*trial) int {
	first := r.Model.Config.Layers
	for _, t := range list {
		first = min(first, t.edited.FirstBlock(r.Model))
	}
	return first
}

// applyEach makes an edit for each trial, together where the editor can.
func (r *run) applyEach(ctx context.Context, list []*trial) error {
	if each, ok := r.Editor.(EachApplier); ok && len(list) > 1 {
		var requests []edit.Request
		for _, t := range list {
			requests = append(requests, t.c.Requests[0])
		}
		simple := !slices.ContainsFunc(list, func(t *trial) bool { return len(t.c.Requests) > 1 })
		if simple {
			edits, err := each.ApplyEach(ctx, r.Model, requests)
			if err == nil && len(edits) == len(list) {
				for i, t := range list {
					t.edited = edits[i]
				}
				return nil
			}
			// one of them is to blame: made alone, it shows
		}
	}
	for _, t := range list {
		if _, err := r.apply(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// apply makes a trial's edit, behind the last one of a sequence; what the editor
// refuses is dropped, for the reason that is returned.
func (r *run) apply(ctx context.Context, t *trial) (refused, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e, err := edit.Continue(ctx, r.Editor, r.Model, r.last, t.c.Requests)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		t.dropped = err.Error()
		return err, nil
	}
	if err := r.refuseHead(e); err != nil {
		return nil, err
	}
	t.edited = e
	return nil, nil
}

// refuseHead fails for edits behind the last block: final states of the base
// model are multiplied by the head as it is.
func (r *run) refuseHead(e *edit.Edited) error {
	head := r.Model.Head()
	for _, c := range e.Changes {
		if c.Weight == head.W.Name || head.B != nil && c.Weight == head.B.Name {
			return fmt.Errorf("editor %s changes the head %s, which cannot be evaluated; edit weights of blocks", e.Editor, c.Weight)
		}
	}
	return nil
}

// scoreAndPut scores trials against the model as it is, and writes their lines.
func (r *run) scoreAndPut(list []*trial, first int) error {
	good := usable(list)
	err := timed(&r.scoreTime, func() error {
		if err := r.base(good, first); err != nil {
			return err
		}
		return r.edited(good, first)
	})
	if err != nil {
		return err
	}
	return r.putAll(list, 0, "")
}

// base asks the base model everything that the trials ask.
func (r *run) base(list []*trial, first int) error {
	var probes []*Probe
	for _, t := range list {
		probes = append(probes, t.c.Probes...)
		if err := r.scorer.generateBase(t.c.Generations); err != nil {
			return err
		}
	}
	return r.scorer.Base(probes, first)
}

// edited asks the edited models. An edit that cannot be applied or asked (its
// weights would not be numbers, its context is too long) is dropped.
func (r *run) edited(list []*trial, first int) error {
	var packed []Job
	for _, t := range list {
		err := r.scorer.generateEdited(t.edited, t.c.Generations)
		job := Job{Edited: t.edited, Probes: t.c.Probes}
		if err == nil && job.packs() {
			packed = append(packed, job)
			continue
		}
		if err == nil {
			err = r.scorer.Edited([]Job{job}, first)
		}
		if err != nil {
			t.dropped = err.Error()
		}
	}
	return r.scorer.Edited(packed, first)
}

// putAll writes the trials' lines, shift lines behind where their records stand.
func (r *run) putAll(list []*trial, shift int, asked string) error {
	for _, t := range list {
		l := &Line{ID: r.Set.Edits[t.index].ID, Dropped: t.dropped}
		if t.dropped == "" {
			s := t.c.score(r.tokenizer())
			l.Values, l.Texts, l.Skipped, l.Cut = s.values, s.said, t.c.skipped, t.c.cut
			l.NotFinite = !t.c.finite()
			if asked == "" {
				r.edits++
			}
		}
		l.Asked = asked
		if err := r.put(t.index+shift, l); err != nil {
			return err
		}
	}
	if r.divided() {
		return nil // until the processes merge what they have
	}
	return r.mark()
}

// batches makes Batch edits together and scores them all.
func (r *run) batches(ctx context.Context) error {
	return r.inPieces(ctx, r.done/r.Batch*r.Batch, r.Batch, func(lo, hi int) error {
		list := r.cases(lo, hi)
		if err := timed(&r.editTime, func() error { return r.applyTogether(ctx, list) }); err != nil {
			return err
		}
		return r.scoreBatch(list, usable(list))
	})
}

// applyTogether makes one edit of all trials. Those that the editor names as the
// reason why it refuses are dropped, and the edit is made of the others.
func (r *run) applyTogether(ctx context.Context, list []*trial) error {
	for {
		good := usable(list)
		if len(good) == 0 {
			return nil
		}
		whole := &trial{c: &Case{}}
		for _, t := range good {
			whole.c.Requests = append(whole.c.Requests, t.c.Requests...)
		}
		refused, err := r.apply(ctx, whole)
		if err != nil {
			return err
		}
		blamed := edit.Blamed(refused)
		for _, t := range good {
			t.edited = whole.edited
			for _, q := range t.c.Requests {
				if why, ok := blamed[q.ID]; ok && t.dropped == "" {
					t.dropped = why.Error()
				}
			}
		}
		if whole.dropped == "" {
			return nil
		}
		if len(usable(list)) == len(good) { // nobody is named
			for _, t := range good {
				t.dropped = whole.dropped
			}
			return nil
		}
	}
}

// scoreBatch scores trials of one edit, asked as one job.
func (r *run) scoreBatch(list, good []*trial) error {
	if len(good) > 0 {
		one := &trial{c: &Case{}, edited: good[0].edited}
		for _, t := range good {
			one.c.Probes = append(one.c.Probes, t.c.Probes...)
			one.c.Generations = append(one.c.Generations, t.c.Generations...)
		}
		err := timed(&r.scoreTime, func() error {
			first := r.firstBlock(good)
			if err := r.base([]*trial{one}, first); err != nil {
				return err
			}
			return r.edited([]*trial{one}, first)
		})
		if err != nil {
			return err
		}
		for _, t := range good {
			t.dropped = one.dropped
		}
	}
	return r.putAll(list, 0, "")
}
