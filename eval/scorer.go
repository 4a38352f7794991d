package eval

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// Defaults of Scorer.
const (
	defaultMaxRows   = 2048
	defaultMaxLogits = 8 << 20
	defaultCache     = 256 << 20
)

// Scorer asks a base model and edited ones for many answers at once. Texts are
// packed into one forward pass, and how several of them begin is computed once;
// what blocks below the first edited one compute is shared by both models, and
// what the base model computed is kept. It is for one goroutine at a time.
type Scorer struct {
	MaxRows   int // rows of one packed pass, at least one text
	MaxLogits int // logits held at a time, for each model

	model *lm.Model
	ops   *eager.Ops
	cache baseCache
	texts map[string][]int32 // greedy continuations of the base model, by prompt
}

// Job is one edited model and what it is asked.
type Job struct {
	Edited *edit.Edited // nil: the model as its weights are
	Probes []*Probe
}

// NewScorer returns a scorer of m that computes with k and keeps at most
// cacheBytes of what the base model computed (0: 256 MiB).
func NewScorer(m *lm.Model, k *kernel.Engine, cacheBytes int64) *Scorer {
	if cacheBytes == 0 {
		cacheBytes = defaultCache
	}
	return &Scorer{
		MaxRows: defaultMaxRows, MaxLogits: defaultMaxLogits,
		model: m, ops: eager.New(k), cache: newBaseCache(cacheBytes), texts: map[string][]int32{},
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
		l := text.NewShared(0)
		n := 0
		for n < len(todo) && s.fits(l, todo[n], 0) {
			l.Add(todo[n].Text, 0)
			n++
		}
		if err := s.basePass(l, todo[:n], first); err != nil {
			return fmt.Errorf("base model: %w", err)
		}
		for _, p := range todo[:n] {
			s.cache.put(p.key(), p.base)
		}
		todo = todo[n:]
	}
	return nil
}

// fits tells whether a task's probe may join a pass.
func (s *Scorer) fits(l *text.Shared, p *Probe, task int) bool {
	return l.Fits(p.Text, task, s.MaxRows, 4*s.MaxRows)
}

// basePass computes the texts that were laid out.
func (s *Scorer) basePass(l *text.Shared, probes []*Probe, first int) error {
	layers, d := s.model.Config.Layers, s.model.Config.Width
	o := s.reset(nil)
	x := lm.Embed[kernel.Matrix](o, s.model, &l.IDs, &l.Seq)
	if first < layers {
		x = lm.Blocks[kernel.Matrix](o, s.model, x, 0, first, &l.Seq, nil)
		keys := l.Seq.Keys
		for _, p := range probes {
			n := len(p.Text.IDs)
			p.base.states = make([]float32, 0, n*d)
			for _, row := range keys[:n] {
				p.base.states = append(p.base.states, x.Data[int(row)*d:][:d]...)
			}
			keys = keys[n:]
		}
		x = lm.Blocks[kernel.Matrix](o, s.model, x, first, layers, &l.Seq, &l.Want)
	} else {
		x = lm.Blocks[kernel.Matrix](o, s.model, x, 0, layers, &l.Seq, &l.Want)
	}
	x = lm.FinalNorm[kernel.Matrix](o, s.model, x)
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
	s.ops.Deltas = deltas
	return s.ops
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
		case j.Edited.ResponderOf() != nil:
			if err := s.responded(j); err != nil {
				return fmt.Errorf("%s: %w", j.name(), err)
			}
		case j.Edited.AdapterOf() != nil:
			if err := s.adapted(j, first); err != nil {
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
	return ok && j.Edited.Context == nil && j.Edited.AdapterOf() == nil && j.Edited.ResponderOf() == nil
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
	// logits are another model's answer, [answer tokens, vocab]; nil: final's
	logits []float32
}

// packed scores jobs whose changes are low-rank.
func (s *Scorer) packed(jobs []Job, first int) error {
	var list []asked
	if first == s.model.Config.Layers { // nothing was changed
		for _, j := range jobs {
			for _, p := range j.Probes {
				list = append(list, asked{probe: p, final: p.base.final})
			}
		}
		return s.compare(list)
	}
	deltas, d := additions(jobs), s.model.Config.Width
	l := text.NewShared(len(jobs))
	var states []float32 // [rows, width], of the base model before block first
	for t, j := range jobs {
		for _, p := range j.Probes {
			if !s.fits(l, p, t) {
				if err := s.editedPass(l, list, states, deltas, first); err != nil {
					return err
				}
				l, list, states = text.NewShared(len(jobs)), nil, nil
			}
			own := len(p.Text.IDs) - l.Add(p.Text, t)
			states = append(states, p.base.states[len(p.base.states)-own*d:]...)
			list = append(list, asked{probe: p})
		}
	}
	return s.editedPass(l, list, states, deltas, first)
}

// editedPass computes the texts that were laid out, from their states before
// block first, and compares.
func (s *Scorer) editedPass(l *text.Shared, list []asked, states []float32, deltas map[string][]nn.Delta, first int) error {
	if len(list) == 0 {
		return nil
	}
	d := s.model.Config.Width
	o := s.reset(deltas)
	o.SetTasks(l.Tasks)
	x := lm.Blocks[kernel.Matrix](o, s.model, kernel.Mat(states, l.Rows(), d), first, s.model.Config.Layers, &l.Seq, &l.Want)
	x = lm.FinalNorm[kernel.Matrix](o, s.model, x)
	if err := o.Err(); err != nil {
		return err
	}
	at := 0
	for i := range list {
		n := list[i].probe.tokens() * d
		list[i].final = slices.Clone(x.Data[at : at+n])
		at += n
	}
	return s.compare(list)
}
