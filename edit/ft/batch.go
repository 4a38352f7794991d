package ft

import (
	"fmt"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// batch is the requests of one step as packed texts, whose wanted row i counts
// weights[i] in the batch's loss.
type batch struct {
	text.Packed
	weights []float32
	states  kernel.Matrix // what enters the first trained block: [rows, width]
	count   int           // requests
}

// add appends a text, of which the rows with a label are wanted.
func (b *batch) add(t text.Text, weight float32) {
	b.Add(t)
	for range t.Wanted() {
		b.weights = append(b.weights, weight)
	}
}

// batches cuts requests into batches of the configured size.
func (e *Editor) batches(m *lm.Model, requests []edit.Request) ([]*batch, error) {
	var out []*batch
	for lo := 0; lo < len(requests); lo += e.cfg.BatchSize {
		part := requests[lo:min(len(requests), lo+e.cfg.BatchSize)]
		b := &batch{count: len(part)}
		for i := range part {
			if err := e.addRequest(b, m, &part[i]); err != nil {
				return nil, fmt.Errorf("edit %s: %w", part[i].ID, err)
			}
		}
		out = append(out, b)
	}
	return out, nil
}

// addRequest appends what a request asks for. A batch's loss is the mean over
// its requests of each one's mean over its target tokens.
func (e *Editor) addRequest(b *batch, m *lm.Model, r *edit.Request) error {
	if err := r.Validate(false); err != nil {
		return err
	}
	t, err := text.Ask(m, r.Prompt, r.Target, r.Join)
	if err != nil {
		return err
	}
	prompt := t.Prompt() // tokens
	target := t.Labels[prompt-1:]
	weight := 1 / (float32(b.count) * float32(len(target)))
	if e.cfg.Objective == ObjectiveAnswer {
		b.add(t, weight)
		return nil
	}
	// A row of the head has one label, so the prompt stands there once for each.
	for _, id := range target {
		labels := make([]int32, prompt)
		for i := range labels {
			labels[i] = -1
		}
		labels[prompt-1] = id
		b.add(text.Text{IDs: t.IDs[:prompt], Labels: labels}, weight)
	}
	return nil
}

// prefix computes what enters block first.
func (b *batch) prefix(o *eager.Ops, m *lm.Model, first int) error {
	o.Reset()
	x := lm.Embed[kernel.Matrix](o, m, &b.IDs, &b.Seq)
	x = lm.Blocks[kernel.Matrix](o, m, x, 0, first, &b.Seq, nil)
	if err := o.Err(); err != nil {
		return err
	}
	data := make([]float32, x.Rows*x.Cols)
	copy(data, x.Data)
	b.states = kernel.Mat(data, x.Rows, x.Cols)
	return nil
}
