package eval

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// contextKeys bounds the keys of a pass: all texts of an edit usually begin with
// one context, which takes few rows but all its keys in each.
const contextKeys = 1 << 16

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
	texts := make([]text.Text, len(j.Probes))
	for i, p := range j.Probes {
		context, err := j.Edited.Context(p.Prompt)
		if err != nil {
			return err
		}
		if texts[i], err = p.behind(s.model.Tokenizer, s.model, context); err != nil {
			return err
		}
	}
	var list []asked
	for len(texts) > 0 {
		l, n := text.NewShared(1), 0
		for n < len(texts) && l.Fits(texts[n], 0, s.MaxRows, contextKeys) {
			l.Add(texts[n], 0)
			n++
		}
		finals, err := s.contextPass(l, texts[:n], deltas)
		if err != nil {
			return err
		}
		for _, f := range finals {
			list = append(list, asked{probe: j.Probes[len(list)], final: f})
		}
		texts = texts[n:]
	}
	return s.compare(list)
}

// contextPass returns the final states of each text at its answer.
func (s *Scorer) contextPass(l *text.Shared, texts []text.Text, deltas map[string][]nn.Delta) ([][]float32, error) {
	o := s.reset(deltas)
	o.SetTasks(l.Tasks)
	x := lm.Forward[kernel.Matrix](o, s.model, &l.IDs, &l.Seq, &l.Want)
	if err := o.Err(); err != nil {
		return nil, fmt.Errorf("%d texts, the first of %d tokens: %w", len(texts), len(texts[0].IDs), err)
	}
	var finals [][]float32
	at := 0
	for _, t := range texts {
		n := t.Wanted() * x.Cols
		finals = append(finals, slices.Clone(x.Data[at:at+n]))
		at += n
	}
	return finals, nil
}
