package eval

import (
	"fmt"
	"slices"

	"keyhole/internal/kernel"
	"keyhole/lm"
	"keyhole/meta"
	"keyhole/nn"
	"keyhole/nn/eager"
)

// sharedContext is the number of tokens that texts must have in common for it
// to pay to compute them once and each text's rest alone, unpacked.
const sharedContext = 48

// inContext scores a job whose edit is a text in front of every prompt.
func (s *Scorer) inContext(j Job) error {
	deltas, ok := j.Edited.Deltas()
	if !ok {
		undo, err := j.Edited.Install(s.model, s.ops.Engine())
		if err != nil {
			return err
		}
		defer undo()
		deltas = nil
	}
	texts := make([]meta.Text, len(j.Probes))
	for i, p := range j.Probes {
		context, err := j.Edited.Context(p.Prompt)
		if err != nil {
			return err
		}
		if texts[i], err = p.inContext(s.model, context); err != nil {
			return err
		}
	}
	var list []asked
	for len(texts) > 0 {
		n, common := shareContext(texts)
		finals, err := s.contextPass(texts[:n], common, deltas)
		if err != nil {
			return err
		}
		for _, f := range finals {
			list = append(list, asked{j.Probes[len(list)], f})
		}
		texts = texts[n:]
	}
	return s.compare(list)
}

// shareContext is how many of the first texts begin with the same tokens, and
// with how many: at least sharedContext, or none. What a text is asked for is
// never shared.
func shareContext(texts []meta.Text) (n, common int) {
	first := texts[0]
	common = firstAsked(first)
	for n = 1; n < len(texts); n++ {
		c := 0
		for c < min(common, firstAsked(texts[n])) && texts[n].IDs[c] == first.IDs[c] {
			c++
		}
		if c < sharedContext {
			break
		}
		common = c
	}
	if n == 1 {
		return 1, 0
	}
	return n, common
}

func firstAsked(t meta.Text) int {
	return slices.IndexFunc(t.Labels, func(l int32) bool { return l >= 0 })
}

// contextPass returns the final states of each text at its answer. The first
// common tokens are computed once and kept as keys and values.
func (s *Scorer) contextPass(texts []meta.Text, common int, deltas map[string][]nn.Delta) ([][]float32, error) {
	o := s.reset(deltas)
	defer func() { o.Cache = nil }()
	o.Cache = eager.NewCache(s.model.Config.Layers)
	if common > 0 {
		s.forward(o, meta.Text{IDs: texts[0].IDs[:common], Labels: texts[0].Labels[:common]}, 0)
		if err := o.Err(); err != nil {
			return nil, err
		}
		o.Cache.Advance(common)
	}
	var finals [][]float32
	for _, t := range texts {
		o.Reset()
		x := s.forward(o, meta.Text{IDs: t.IDs[common:], Labels: t.Labels[common:]}, common)
		if err := o.Err(); err != nil {
			return nil, fmt.Errorf("text of %d tokens: %w", len(t.IDs), err)
		}
		finals = append(finals, slices.Clone(x.Data[:x.Rows*x.Cols]))
	}
	return finals, nil
}

// forward runs one text behind the rows that the cache has, without saying
// that it is complete: the next text takes its place.
func (s *Scorer) forward(o *eager.Ops, t meta.Text, behind int) kernel.Matrix {
	l := newLayout(0)
	l.add(t, 0)
	for i := range l.seq.Pos {
		l.seq.Pos[i] += int32(behind)
	}
	l.seq.Segs[0].KLen += behind
	if len(l.want.V) == 0 { // only keys and values are wanted
		l.want.V = []int32{int32(len(t.IDs) - 1)}
	}
	l.seq.Tasks = []nn.Range{{Lo: 0, Hi: len(t.IDs)}}
	l.want.Tasks = []nn.Range{{Lo: 0, Hi: len(l.want.V)}}
	o.SetTasks(l.seq.Tasks)
	return lm.Forward[kernel.Matrix](o, s.model, &l.ids, &l.seq, &l.want)
}
