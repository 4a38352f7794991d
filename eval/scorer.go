package eval

import (
	"fmt"
	"slices"

	"keyhole/edit"
	"keyhole/internal/kernel"
	"keyhole/lm"
	"keyhole/meta"
	"keyhole/nn"
	"keyhole/nn/eager"
)

// Defaults of Scorer.
const (
	defaultMaxRows   = 1024
	defaultMaxLogits = 8 << 20
	defaultCache     = 256 << 20
)

// Scorer asks a base model and edited ones for many answers at once. Texts are
// packed into one forward pass; what blocks below the first edited one compute
// is shared by both models, and what the base model computed is kept. It is for
// one goroutine at a time.
type Scorer struct {
	MaxRows   int // tokens of one packed pass, at least one text
	MaxLogits int // logits held at a time, for each model

	model *lm.Model
	ops   *eager.Ops
	cache *baseCache
	texts map[string][]int32 // greedy continuations of the base model, by prompt
}

// Job is one edited model and what it is asked.
type Job struct {
	Edited *edit.Edited // nil: the model as its weights are
	Probes []*Probe
}

// NewScorer returns a scorer of m that computes with e and keeps at most
// cacheBytes of what the base model computed (0: 256 MiB).
func NewScorer(m *lm.Model, e *kernel.Engine, cacheBytes int64) *Scorer {
	if cacheBytes == 0 {
		cacheBytes = defaultCache
	}
	return &Scorer{
		MaxRows: defaultMaxRows, MaxLogits: defaultMaxLogits,
		model: m, ops: eager.New(e), cache: newBaseCache(cacheBytes), texts: map[string][]int32{},
	}
}

// Base computes what the base model, the one whose weights are in m now, makes
// of the probes' texts, with the states that enter block first kept.
func (s *Scorer) Base(probes []*Probe, first int) error {
	var todo []*Probe
	fresh := map[string]*baseEntry{}
	for _, p := range probes {
		if p.base != nil && p.base.first == first {
			continue
		}
		key := p.key()
		p.base = fresh[key]
		if p.base == nil {
			p.base = s.cache.find(key, first)
		}
		if p.base == nil {
			p.base = &baseEntry{first: first}
			fresh[key] = p.base
			todo = append(todo, p)
		}
	}
	for len(todo) > 0 {
		n := s.fits(todo)
		if err := s.basePass(todo[:n], first); err != nil {
			return fmt.Errorf("base model: %w", err)
		}
		for _, p := range todo[:n] {
			s.cache.put(p.key(), p.base)
		}
		todo = todo[n:]
	}
	return nil
}

// fits is how many of the probes share a pass.
func (s *Scorer) fits(probes []*Probe) int {
	rows := 0
	for i, p := range probes {
		if rows += len(p.Text.IDs); rows > s.MaxRows && i > 0 {
			return i
		}
	}
	return len(probes)
}

func (s *Scorer) basePass(probes []*Probe, first int) error {
	l := newLayout()
	for _, p := range probes {
		l.add(p.Text)
	}
	layers, d := s.model.Config.Layers, s.model.Config.Width
	o := s.reset(nil)
	x := lm.Embed[kernel.Matrix](o, s.model, &l.ids, &l.seq)
	if first < layers {
		x = lm.Blocks(o, s.model, x, 0, first, &l.seq, nil)
		at := 0
		for _, p := range probes {
			n := len(p.Text.IDs) * d
			p.base.states = slices.Clone(x.Data[at : at+n])
			at += n
		}
		x = lm.Blocks(o, s.model, x, first, layers, &l.seq, &l.want)
	} else {
		x = lm.Blocks(o, s.model, x, 0, layers, &l.seq, &l.want)
	}
	x = lm.FinalNorm(o, s.model, x)
	if err := o.Err(); err != nil {
		return err
	}
	at := 0
	for _, p := range probes {
		n := p.tokens() * d
		p.base.final = slices.Clone(x.Data[at : at+n])
		at += n
	}
	return nil
}

// reset clears the interpreter for a pass with the given additions.
func (s *Scorer) reset(deltas map[string][]nn.Delta) *eager.Ops {
	s.ops.Reset()
	s.ops.Deltas, s.ops.Cache = deltas, nil
	return s.ops
}

// layout is texts laid one behind the other.
type layout struct {
	ids     nn.IDs
	lengths []int
	seq     nn.Sequences
	want    nn.RowSet
}

func newLayout() *layout { return &layout{} }

// add appends a text; seq is up to date after each.
func (l *layout) add(t meta.Text) {
	at := len(l.ids.V)
	l.ids.V = append(l.ids.V, t.IDs...)
	l.lengths = append(l.lengths, len(t.IDs))
	for i, label := range t.Labels {
		if label >= 0 {
			l.want.V = append(l.want.V, int32(at+i))
		}
	}
	for i := range t.IDs {
		l.seq.Pos = append(l.seq.Pos, int32(i))
	}
	l.seq.Segs = append(l.seq.Segs, kernel.Segment{Q: at, QLen: len(t.IDs), K: at, KLen: len(t.IDs)})
}

// Edited computes what edited models make of the jobs' probes, after Base did
// for the same probes with a first block that no edit lies below. Low-rank
// edits share passes; others are installed one after the other, and taken back.
func (s *Scorer) Edited(jobs []Job, first int) error {
	var packed []Job
	for i, j := range jobs {
		switch {
		case j.Edited != nil && j.Edited.Context != nil:
			if err := s.inContext(j); err != nil {
				return fmt.Errorf("%s: %w", j.name(), err)
			}
		case j.packs():
			packed = append(packed, jobs[i])
		default:
			if err := s.installed(j, first); err != nil {
				return fmt.Errorf("%s: %w", j.name(), err)
			}
		}
	}
	if err := s.packed(packed, first); err != nil {
		return fmt.Errorf("edited model: %w", err)
	}
	return nil
}

func (j Job) name() string {
	if len(j.Edited.Requests) == 0 {
		return "edited model"
	}
	return "edited model of edit " + j.Edited.Requests[0].ID
}

// packs tells whether the job can share passes with others.
func (j Job) packs() bool {
	if j.Edited == nil {
		return true
	}
	_, ok := j.Edited.Deltas()
	return ok && j.Edited.Context == nil
}

func (s *Scorer) installed(j Job, first int) error {
	undo, err := j.Edited.Install(s.model, s.ops.Engine())
	if err != nil {
		return err
	}
	defer undo()
	return s.packed([]Job{{Probes: j.Probes}}, first)
}

// additions are the jobs' low-rank changes, job by job.
func additions(jobs []Job) map[string][]nn.Delta {
	out := map[string][]nn.Delta{}
	for t, j := range jobs {
		if j.Edited == nil {
			continue
		}
		deltas, _ := j.Edited.Deltas()
		for name, d := range deltas {
			if out[name] == nil {
				out[name] = make([]nn.Delta, len(jobs))
			}
			out[name][t] = d[0]
		}
	}
	return out
}

// asked is a probe in a pass, with the rows of its final states.
type asked struct {
	probe *Probe
	final []float32 // [answer tokens, width], of the edited model
}

// packed scores jobs whose changes are low-rank.
func (s *Scorer) packed(jobs []Job, first int) error {
	deltas := additions(jobs)
	var task []int
	var probes []*Probe
	for t, j := range jobs {
		for _, p := range j.Probes {
			task, probes = append(task, t), append(probes, p)
		}
	}
	for len(probes) > 0 {
		n := s.fits(probes)
		if err := s.editedPass(probes[:n], task[:n], len(jobs), deltas, first); err != nil {
			return err
		}
		probes, task = probes[n:], task[n:]
	}
	return nil
}

func (s *Scorer) editedPass(probes []*Probe, task []int, tasks int, deltas map[string][]nn.Delta, first int) error {
	layers, d := s.model.Config.Layers, s.model.Config.Width
	if first == layers { // nothing was changed
		list := make([]asked, len(probes))
		for i, p := range probes {
			list[i] = asked{p, p.base.final}
		}
		return s.compare(list)
	}
	l := newLayout()
	l.seq.Tasks, l.want.Tasks = make([]nn.Range, tasks), make([]nn.Range, tasks)
	var states []float32
	for i, p := range probes {
		rows, want := nn.Range{Lo: len(l.ids.V)}, nn.Range{Lo: len(l.want.V)}
		l.add(p.Text)
		states = append(states, p.base.states...)
		rows.Hi, want.Hi = len(l.ids.V), len(l.want.V)
		if t := task[i]; l.seq.Tasks[t].Hi > 0 {
			l.seq.Tasks[t].Hi, l.want.Tasks[t].Hi = rows.Hi, want.Hi
		} else {
			l.seq.Tasks[t], l.want.Tasks[t] = rows, want
		}
	}
	o := s.reset(deltas)
	o.SetTasks(l.seq.Tasks)
	x := lm.Blocks(o, s.model, kernel.Mat(states, len(l.ids.V), d), first, layers, &l.seq, &l.want)
	x = lm.FinalNorm(o, s.model, x)
	if err := o.Err(); err != nil {
		return err
	}
	list := make([]asked, len(probes))
	at := 0
	for i, p := range probes {
		n := p.tokens() * d
		list[i] = asked{p, slices.Clone(x.Data[at : at+n])}
		at += n
	}
	return s.compare(list)
}
