package eval

import (
	"context"
	"errors"
	"math"
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

// Sequence is what an evaluation of edits in a row tells beside its figures,
// which are those of the end where edits are asked then.
type Sequence struct {
	Batch  int `json:"batch"`            // edits of a round
	Rounds int `json:"rounds,omitempty"` // of a sequence; 0: as many as the edits make
	// AtOnce are the figures right after each edit's own round, where edits are
	// asked at the end too.
	AtOnce map[string]Figure `json:"at_once,omitempty"`
	// Retention is the share of edits that were right at once and still are at
	// the end; nil where they are not asked twice.
	Retention *float64 `json:"retention,omitempty"`
	ByAge     []Aged   `json:"by_age"`            // tenths of the sequence, the last edits first
	Ability   *Ability `json:"ability,omitempty"` // at the end, mean over sequences
	// BytesPerEdit is what an edit takes beside the model.
	BytesPerEdit float64 `json:"bytes_per_edit,omitempty"`
	// TokenSeconds is what a generated token takes; Before: in the base model.
	TokenSecondsBefore float64 `json:"token_seconds_before,omitempty"`
	TokenSeconds       float64 `json:"token_seconds,omitempty"`

	atOnce    map[string]*sums
	first     map[string]bool // edits right at once, by ID
	aged      []aged
	abilities []Ability
	bytes     int64
	edits     int
}

// Aged is figures of edits of similar age.
type Aged struct {
	Age            float64  `json:"age"` // rounds made after the edit's own, mean
	Edits          int      `json:"edits"`
	Reliability    float64  `json:"reliability"`
	Generalization *float64 `json:"generalization,omitempty"`
	Locality       *float64 `json:"locality,omitempty"`
	Retention      *float64 `json:"retention,omitempty"` // see Sequence.Retention
}

type aged struct {
	age, last int
	id        string
	values    Values
}

func (r *run) newSequence() *Sequence {
	return &Sequence{Batch: r.Batch, Rounds: r.Rounds, atOnce: map[string]*sums{}, first: map[string]bool{}}
}

// add counts a line.
func (q *Sequence) add(s slot, l *Line) {
	switch {
	case l.Ability != nil:
		q.abilities = append(q.abilities, *l.Ability)
		q.bytes += l.Bytes
	case l.Dropped != "":
	case s.asked == askedRound:
		addValues(q.atOnce, l.Values)
		q.first[l.ID] = l.Values["reliability"].right()
	default:
		q.aged = append(q.aged, aged{age: s.last - s.round, last: s.last, id: l.ID, values: l.Values})
		q.edits++
	}
}

// right tells whether every prompt was answered.
func (t Tally) right() bool { return t.N > 0 && t.Sum == float64(t.N) }

// mean is over the tally's prompts.
func (t Tally) mean() float64 { return t.Sum / float64(t.N) }

// finish makes figures of what was counted.
func (q *Sequence) finish(rep *Report) {
	if len(q.atOnce) > 0 {
		q.AtOnce = map[string]Figure{}
		for name, s := range q.atOnce {
			record := rep.recordOf(name)
			record.Protocol = "sequential_immediate"
			q.AtOnce[name] = s.figure(name, record)
		}
		q.Retention = q.retention(q.aged)
	}
	q.ByAge = nil
	const parts = 10
	groups := make([][]aged, parts)
	for _, a := range q.aged {
		part := a.age * parts / (a.last + 1)
		groups[part] = append(groups[part], a)
	}
	for _, g := range groups {
		if len(g) > 0 {
			q.ByAge = append(q.ByAge, q.group(g))
		}
	}
	if n := len(q.abilities); n > 0 {
		mean := meanAbility(q.abilities)
		q.Ability = &mean
	}
	if q.edits > 0 {
		q.BytesPerEdit = float64(q.bytes) / float64(q.edits)
	}
}

// group makes figures of edits of similar age.
func (q *Sequence) group(list []aged) Aged {
	out := Aged{Edits: len(list), Retention: q.retention(list)}
	mean := func(name string) *float64 {
		sum, n := 0.0, 0
		for _, a := range list {
			if t, ok := a.values[name]; ok {
				sum, n = sum+t.mean(), n+1
			}
		}
		if n == 0 {
			return nil
		}
		v := sum / float64(n)
		return &v
	}
	for _, a := range list {
		out.Age += float64(a.age) / float64(len(list))
	}
	if v := mean("reliability"); v != nil {
		out.Reliability = *v
	}
	out.Generalization, out.Locality = mean("generalization"), mean("locality")
	return out
}

// retention is the share of the edits that were right at once which are right at
// the end; nil where none was, or none was asked.
func (q *Sequence) retention(list []aged) *float64 {
	kept, n := 0.0, 0
	for _, a := range list {
		if q.first[a.id] {
			n++
			kept += indicator(a.values["reliability"].right())
		}
	}
	if n == 0 {
		return nil
	}
	v := kept / float64(n)
	return &v
}

// finite is x, or the largest number instead of infinity, which JSON has not.
func finite(x float64) float64 { return math.Min(x, math.MaxFloat64) }
