package eval

import (
	"context"
	"errors"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/nn"
)

// inSequence says whether edits are made in the model that earlier ones left.
func (r *run) inSequence() bool { return InSequence(r.Protocol) }

func (r *run) asksRound() bool { return r.Protocol != "sequential_final" }

func (r *run) asksEnd() bool { return r.Protocol != "sequential_immediate" }

// askedRound marks lines of edits that are asked at the end too.
const askedRound = "round"

// endID stands where lines of edits have their ID.
const endID = "end of sequence"

// slot is the place of a line to come.
type slot struct {
	index int // of the record; −1: the end of a sequence
	asked string
	round int // of the sequence
	last  int // round
}

// id is what the slot's line has to say that it is of.
func (r *run) id(s slot) string {
	if s.index < 0 {
		return endID
	}
	return r.Set.Edits[s.index].ID
}

// span is the number of records of a sequence.
func (r *run) span() int {
	if !r.inSequence() || r.Rounds == 0 || r.Rounds > r.n/r.Batch+1 {
		return max(1, r.n)
	}
	return r.Rounds * r.Batch
}

// schedule lists the lines in their order.
func (r *run) schedule() []slot {
	var out []slot
	for lo := 0; lo < r.n; lo += r.span() {
		hi := min(lo+r.span(), r.n)
		ask := func(asked string) {
			for i := lo; i < hi; i++ {
				out = append(out, slot{index: i, asked: asked, round: (i - lo) / r.Batch, last: (hi - 1 - lo) / r.Batch})
			}
		}
		if r.Protocol == "sequential_both" {
			ask(askedRound)
		}
		ask("")
		if r.Ability != nil {
			out = append(out, slot{index: -1})
		}
	}
	return out
}

// sequential makes the sequences that have lines left to write.
func (r *run) sequential(ctx context.Context) error {
	at := 0
	for lo := 0; lo < r.n; lo += r.span() {
		hi := min(lo+r.span(), r.n)
		next := at + hi - lo
		if r.Protocol == "sequential_both" {
			next += hi - lo
		}
		if r.Ability != nil {
			next++
		}
		if r.done < next {
			if err := r.sequence(ctx, lo, hi, at); err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}

// sequence makes the edits of records [lo, hi), Batch at a time, each round in
// the model that the earlier ones left. Its first line is line at. The base model
// is asked with all edits lifted.
func (r *run) sequence(ctx context.Context, lo, hi, at int) error {
	in := &installed{params: map[string]*nn.Param{}, first: r.Model.Config.Layers}
	defer in.remove()
	r.last = nil
	defer func() { r.last = nil }()
	written := r.done - at // lines of this sequence
	n := hi - lo
	var all []*trial
	for a := lo; a < hi; a += r.Batch {
		list := r.cases(a, min(a+r.Batch, hi))
		if err := timed(&r.editTime, func() error { return r.round(ctx, in, list) }); err != nil {
			return err
		}
		if r.asksRound() && list[len(list)-1].index-lo >= written {
			asked := ""
			if r.asksEnd() {
				asked = askedRound
			}
			if err := r.scoreInstalled(in, list, at-lo, asked); err != nil {
				return err
			}
		}
		for _, t := range list {
			t.c.dropProbes()
		}
		all = append(all, list...)
	}
	if r.asksEnd() {
		shift := at - lo
		if r.asksRound() {
			shift += n
			written -= n
		}
		if err := r.askAll(in, all[max(0, min(written, n)):], shift); err != nil {
			return err
		}
	}
	return r.endSequence(in)
}

// round makes one edit of the trials and puts it into the model.
func (r *run) round(ctx context.Context, in *installed, list []*trial) error {
	if err := r.applyTogether(ctx, list); err != nil {
		return err
	}
	good := usable(list)
	if len(good) == 0 {
		return nil
	}
	e := good[0].edited
	if err := in.install(r, e); err != nil {
		for _, t := range good {
			t.dropped = err.Error()
		}
		return nil
	}
	if r.last != nil { // a memory is that of all edits
		in.bytes -= r.last.Bytes() - r.last.ChangeBytes()
	}
	r.last = e
	in.bytes += e.Bytes()
	in.edits += len(good)
	return nil
}

// askAll scores the trials in the model that all edits left.
func (r *run) askAll(in *installed, all []*trial, shift int) error {
	for group := range slices.Chunk(all, r.Pack) {
		for _, t := range usable(group) {
			c, err := r.plan.plan(t.index)
			if err != nil {
				return err
			}
			t.c = c
		}
		if err := r.scoreInstalled(in, group, shift, ""); err != nil {
			return err
		}
		for _, t := range group {
			t.c.dropProbes()
		}
	}
	return nil
}

// endSequence measures general ability and writes the sequence's last line.
func (r *run) endSequence(in *installed) error {
	if r.Ability == nil {
		return nil
	}
	l := &Line{ID: endID, Bytes: in.bytes}
	err := timed(&r.scoreTime, func() (err error) {
		l.Ability, err = r.ability(in)
		return err
	})
	if err != nil {
		return err
	}
	if err := r.put(r.done, l); err != nil {
		return err
	}
	return r.mark()
}

// dropProbes gives a case's memory back.
func (c *Case) dropProbes() {
	if c != nil {
		c.Probes, c.Generations, c.scorings = nil, nil, nil
	}
}

// scoreInstalled scores trials in the model as it is, and writes their lines. What
// cannot be asked now may still be asked later: the trials stay as they are.
func (r *run) scoreInstalled(in *installed, trials []*trial, shift int, asked string) error {
	var list []*trial
	for _, t := range trials {
		again := *t
		list = append(list, &again)
	}
	good := usable(list)
	err := timed(&r.scoreTime, func() error {
		if err := in.lifted(func() error { return r.base(good, in.first) }); err != nil {
			return err
		}
		var asIs []*trial
		for _, t := range good {
			asIs = append(asIs, &trial{c: t.c, edited: r.inPlace(t.edited)})
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
	return r.putAll(list, shift, asked)
}

// inPlace is what edits do beside the changes, which are in the weights already:
// a context is each edit's own, a memory the whole sequence's. nil: nothing.
func (r *run) inPlace(e *edit.Edited) *edit.Edited {
	switch {
	case r.last.AdapterOf() != nil || r.last.ResponderOf() != nil:
		return &edit.Edited{Editor: r.last.Editor, Memory: r.last.Memory}
	case e.Context != nil:
		return &edit.Edited{Editor: e.Editor, Requests: e.Requests, Context: e.Context}
	}
	return nil
}

// installed are the edits that lie in a model's weights.
type installed struct {
	params map[string]*nn.Param
	undos  []func()
	first  int // lowest block that was changed
	bytes  int64
	edits  int
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
