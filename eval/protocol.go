package eval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/nn"
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
	for lo := r.done; lo < r.n; lo = r.done {
		if err := ctx.Err(); err != nil {
			return err
		}
		list := r.cases(lo, min(lo+r.Pack, r.n))
		if err := timed(&r.editTime, func() error { return r.applyEach(ctx, usable(list)) }); err != nil {
			return err
		}
		if err := r.scoreAndPut(list, r.firstBlock(usable(list))); err != nil {
			return err
		}
	}
	return nil
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
		if err := r.apply(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// apply makes a trial's edit; what the editor refuses is dropped.
func (r *run) apply(ctx context.Context, t *trial) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e, err := r.Editor.Apply(ctx, r.Model, t.c.Requests)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.dropped = err.Error()
		return nil
	}
	if err := r.refuseHead(e); err != nil {
		return err
	}
	t.edited = e
	return nil
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
	return r.putAll(list)
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

func (r *run) putAll(list []*trial) error {
	for _, t := range list {
		l := &Line{ID: r.Set.Edits[t.index].ID, Dropped: t.dropped}
		if t.dropped == "" {
			l.Values, l.Skipped, l.Cut = t.c.values(), t.c.skipped, t.c.cut
			l.NotFinite = !t.c.finite()
			r.edits++
		}
		if err := r.put(t.index, l); err != nil {
			return err
		}
	}
	return r.mark()
}

// batches makes Batch edits together and scores them all.
func (r *run) batches(ctx context.Context) error {
	for lo := r.done / r.Batch * r.Batch; lo < r.n; lo += r.Batch {
		list := r.cases(lo, min(lo+r.Batch, r.n))
		good := usable(list)
		if len(good) > 0 {
			whole := &trial{c: &Case{}}
			for _, t := range good {
				whole.c.Requests = append(whole.c.Requests, t.c.Requests...)
			}
			if err := timed(&r.editTime, func() error { return r.apply(ctx, whole) }); err != nil {
				return err
			}
			for _, t := range good {
				t.edited, t.dropped = whole.edited, whole.dropped
			}
		}
		if err := r.scoreBatch(list, usable(list)); err != nil {
			return err
		}
	}
	return nil
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
	return r.putAll(list)
}

// sequential makes one edit after the other, each in the model that the
// earlier ones left. The base model is asked with all of them lifted.
func (r *run) sequential(ctx context.Context) error {
	in := &installed{params: map[string]*nn.Param{}, first: r.Model.Config.Layers}
	defer in.remove()
	var all []*trial
	written := r.done
	for i := range r.n {
		list := r.cases(i, i+1)
		t := list[0]
		if t.dropped == "" {
			err := timed(&r.editTime, func() error {
				if err := r.apply(ctx, t); err != nil || t.dropped != "" {
					return err
				}
				if err := in.install(r, t.edited); err != nil {
					t.dropped = err.Error()
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		switch {
		case r.Protocol == "sequential_final":
			t.c.dropProbes()
			all = append(all, t)
		case i >= written:
			if err := r.scoreInstalled(in, list); err != nil {
				return err
			}
		}
	}
	for lo := written; lo < len(all); lo += r.Pack {
		group := all[lo:min(lo+r.Pack, len(all))]
		for _, t := range group {
			if t.dropped == "" {
				c, err := r.plan.plan(t.index)
				if err != nil {
					return err
				}
				t.c = c
			}
		}
		if err := r.scoreInstalled(in, group); err != nil {
			return err
		}
		for _, t := range group {
			t.c.dropProbes()
		}
	}
	return nil
}

// dropProbes gives a case's memory back.
func (c *Case) dropProbes() {
	if c != nil {
		c.Probes, c.Generations, c.scorings = nil, nil, nil
	}
}

func (r *run) scoreInstalled(in *installed, list []*trial) error {
	good := usable(list)
	err := timed(&r.scoreTime, func() error {
		if err := in.lifted(func() error { return r.base(good, in.first) }); err != nil {
			return err
		}
		var asIs []*trial // the changes are in the weights; a context is not
		for _, t := range good {
			u := &trial{c: t.c}
			if t.edited.Context != nil {
				u.edited = &edit.Edited{Editor: t.edited.Editor, Requests: t.edited.Requests, Context: t.edited.Context}
			}
			asIs = append(asIs, u)
		}
		if err := r.edited(asIs, in.first); err != nil {
			return err
		}
		for i, t := range good {
			t.dropped = asIs[i].dropped
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.putAll(list)
}

// installed are the edits that lie in a model's weights.
type installed struct {
	params map[string]*nn.Param
	undos  []func()
	first  int // lowest block that was changed
}

func (in *installed) install(r *run, e *edit.Edited) error {
	undo, err := e.Install(r.Model, r.Engine)
	if err != nil {
		return err
	}
	in.undos = append(in.undos, undo)
	in.first = min(in.first, e.FirstBlock(r.Model))
	for _, c := range e.Changes {
		in.params[c.Weight], _ = r.Model.Param(c.Weight)
	}
	return nil
}

// remove puts the base model's weights back.
func (in *installed) remove() {
	for _, undo := range slices.Backward(in.undos) {
		undo()
	}
	in.undos = nil
}

// lifted runs fn with the base model's weights.
func (in *installed) lifted(fn func() error) error {
	now := map[string][]float32{}
	for name, p := range in.params {
		v, err := p.Values()
		if err != nil {
			return err
		}
		now[name] = v
	}
	in.remove()
	err := fn()
	for _, name := range sortedKeys(now) {
		undo, e := in.params[name].Replace(now[name])
		if e != nil {
			return errors.Join(err, e)
		}
		in.undos = append(in.undos, undo)
	}
	return err
}
