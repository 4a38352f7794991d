package gated

import (
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// strengthen multiplies an entry's changes by that of the configured strengths at
// which the target is likeliest, behind the prompt and behind the sentences that
// keys were taken with; of equally likely ones by the first.
func (ed *Editor) strengthen(m *lm.Model, layers []string, e *Entry, r edit.Request) error {
	best := ed.cfg.Strengths[0]
	if len(ed.cfg.Strengths) > 1 {
		t, err := ed.trial(m, layers[0], r)
		if err != nil {
			return err
		}
		least := math.Inf(1)
		for _, by := range ed.cfg.Strengths {
			nll, err := t.nll(layers, e.Changes, by)
			if err != nil {
				return err
			}
			if nll < least {
				best, least = by, nll
			}
		}
	}
	for i, c := range e.Changes {
		e.Changes[i] = &nn.Delta{U: c.U, D: c.D, Scale: c.Scale * float32(best)}
	}
	return nil
}

// trial is the texts of an edit up to the block that it changes first.
type trial struct {
	ops    *eager.Ops
	k      *kernel.Engine
	m      *lm.Model
	block  int
	texts  text.Packed
	states kernel.Matrix // before block, [rows, width]
	share  []float64     // of each wanted row
	rows   []nn.Range    // of each text, that are changed
}

// trial runs the target behind a request's prompt, and behind it with each of the
// sentences in front, as far as no edit is seen.
func (ed *Editor) trial(m *lm.Model, first string, r edit.Request) (*trial, error) {
	site, ok := m.SiteOf(first)
	if !ok {
		return nil, fmt.Errorf("%s is no linear layer of the model", first)
	}
	t := &trial{ops: eager.New(ed.k), k: ed.k, m: m, block: site.Block}
	for i, before := range ed.sentences(r) {
		a, err := text.Ask(m, before+r.Prompt, r.Target, r.Join)
		switch {
		case err != nil && i == 0:
			return nil, err
		case err != nil:
			continue // too long with a sentence in front
		}
		rows, _ := t.texts.Add(a)
		if ed.cfg.Rows == SubjectRows {
			subject, err := ed.subject(m, before, r)
			if err != nil {
				return nil, err
			}
			rows = nn.Range{Lo: rows.Lo + subject.Lo, Hi: rows.Lo + subject.Hi}
		}
		t.rows = append(t.rows, rows)
		for range a.Wanted() {
			t.share = append(t.share, 1/float64(a.Wanted()))
		}
	}
	x := lm.Embed[kernel.Matrix](t.ops, m, &t.texts.IDs, &t.texts.Seq)
	x = lm.Blocks[kernel.Matrix](t.ops, m, x, 0, t.block, &t.texts.Seq, nil)
	t.states = x.Clone()
	return t, t.ops.Err()
}

// nll is −log p of the target's tokens with changes by a strength, the mean over
// tokens, added over texts; +Inf where it is no number.
func (t *trial) nll(layers []string, changes []*nn.Delta, by float64) (float64, error) {
	o := t.ops
	o.Reset()
	o.SetTasks([]nn.Range{{Lo: 0, Hi: t.states.Rows}})
	o.OnLinear = func(l *nn.Linear, x, y kernel.Matrix) {
		at := slices.Index(layers, l.W.Name)
		if at < 0 {
			return
		}
		d := *changes[at]
		d.Scale *= float32(by)
		for _, rows := range t.rows {
			add(&d, x, y, rows)
		}
	}
	defer func() { o.OnLinear = nil }()
	states := t.states.Clone()
	x := lm.Blocks[kernel.Matrix](o, t.m, states, t.block, t.m.Config.Layers, &t.texts.Seq, nil)
	logits := t.m.Logits(o, lm.FinalNorm[kernel.Matrix](o, t.m, o.Rows(x, &t.texts.Want)))
	if err := o.Err(); err != nil {
		return 0, fmt.Errorf("strength %v: %w", by, err)
	}
	n := len(t.texts.Labels)
	nll, lse := make([]float32, n), make([]float32, n)
	t.k.CrossEntropy(nll, lse, logits.Data[:n*logits.Cols], t.texts.Labels, n, logits.Cols)
	sum := 0.0
	for i, v := range nll {
		sum += t.share[i] * float64(v)
	}
	if math.IsNaN(sum) {
		return math.Inf(1), nil
	}
	return sum, nil
}
