package serac

import (
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/text"
)

// scores are what came of a step: s of its pairs, loss and rightness of its rows.
type scores struct {
	s     []float64
	loss  []float64
	right []bool
}

// scores reads them from the graph.
func (g *built) scores(l *Learner) *scores {
	out := &scores{}
	list := g.given
	if !l.cfg.FreezeEncoder {
		list = g.machine.Value(g.s).Data
	}
	for i := range l.step.pairs {
		out.s = append(out.s, float64(list[i]))
	}
	if g.rows == nil {
		return out
	}
	rows := g.machine.Value(g.rows)
	at, right := 0, 1 // columns of loss and rightness
	if !l.cfg.Supervised {
		at, right = 1, 2
	}
	for i := range l.step.labels.IDs {
		row := rows.Data[i*rows.Cols : (i+1)*rows.Cols]
		out.loss, out.right = append(out.loss, float64(row[at])), append(out.right, row[right] == 1)
	}
	return out
}

// score computes them without a graph.
func (l *Learner) score() (*scores, error) {
	list, err := l.similarities()
	if err != nil {
		return nil, err
	}
	out := &scores{}
	for _, v := range list {
		out.s = append(out.s, float64(v))
	}
	h, err := l.logits(l.Counterfactual, l.step.asked)
	if err != nil {
		return nil, fmt.Errorf("counterfactual model: %w", err)
	}
	v := l.Base.Config.Vocab
	if l.cfg.Supervised {
		for i, label := range l.step.labels.IDs {
			row := h[i*v : (i+1)*v]
			best, log := kernel.LogSum64(row)
			out.loss, out.right = append(out.loss, log-float64(row[label])), append(out.right, best == label)
		}
		return out, nil
	}
	m := mixture{labels: l.step.labels, kept: l.step.kept, pair: rowPairs(&l.step)}
	if m.base, err = l.logits(l.Base, l.step.plain); err != nil {
		return nil, fmt.Errorf("base model: %w", err)
	}
	for i := range m.labels.IDs {
		r := m.row(i, h[i*v:(i+1)*v], list[m.pair[i]], nil)
		out.loss, out.right = append(out.loss, r.loss), append(out.right, r.right)
	}
	return out, nil
}

// similarities are s of the present step's pairs.
func (l *Learner) similarities() ([]float32, error) {
	v, err := l.vectors(l.step.texts)
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(l.step.pairs))
	for i, p := range l.step.pairs {
		out[i] = float32(l.measure.log(v[p.text], v[p.edit]))
	}
	return out, nil
}

// passRows bounds the rows of a pass outside the graph.
const passRows = 2048

// logits are those of the queries' rows under m, one behind the other:
// [rows, vocab].
func (l *Learner) logits(m *lm.Model, queries []text.Text) ([]float32, error) {
	var out []float32
	for len(queries) > 0 {
		n := text.Fitting(queries, func(t text.Text) int { return len(t.IDs) }, passRows)
		p := text.Pack(queries[:n]...)
		l.ops.Reset()
		x := m.Logits(l.ops, lm.Forward[kernel.Matrix](l.ops, m, &p.IDs, &p.Seq, &p.Want))
		if err := l.ops.Err(); err != nil {
			return nil, err
		}
		out = append(out, x.Data[:x.Rows*x.Cols]...)
		queries = queries[n:]
	}
	return slices.Clip(out), nil
}

// outcomes are figures of each task.
func (l *Learner) outcomes(s *scores) ([]meta.Outcome, error) {
	out := make([]meta.Outcome, len(l.step.tasks))
	for t, at := range l.step.tasks {
		o := &out[t]
		in := l.scopes(o, s, at)
		l.losses(o, s, at)
		if in > 0 {
			o.Right = l.answered(s, at) / in
		}
		o.Total = l.CEdit*o.Edit + l.CLoc*o.Loc
		if math.IsNaN(o.Total) || math.IsInf(o.Total, 0) {
			return nil, fmt.Errorf("its loss is %v", o.Total)
		}
	}
	return out, nil
}

// scopes writes what the classifier says of a task's pairs, and returns how many
// are in scope.
func (l *Learner) scopes(o *meta.Outcome, s *scores, at span) (in float64) {
	outside, held := 0.0, 0.0
	for i := at.pairs.Lo; i < at.pairs.Hi; i++ {
		p := l.step.pairs[i]
		loss, _ := l.pairLoss(s.s[i], p.in)
		if l.cfg.Supervised {
			o.Loc += loss * float64(p.weight)
		}
		if p.in {
			in++
		} else if outside++; !l.inScope(s.s[i]) {
			held++
		}
	}
	if l.cfg.Supervised && l.CLoc > 0 {
		o.Loc /= l.CLoc
	}
	if outside > 0 {
		o.Stability = held / outside
	}
	return in
}

// losses adds the mean losses of a task's rows, wanted and kept.
func (l *Learner) losses(o *meta.Outcome, s *scores, at span) {
	wanted, kept := 0.0, 0.0
	for i := at.rows.Lo; i < at.rows.Hi && len(s.loss) > 0; i++ {
		if l.step.kept[i] {
			o.Loc += s.loss[i]
			kept++
			continue
		}
		o.Edit += s.loss[i]
		o.Prob += math.Exp(-s.loss[i])
		wanted++
	}
	if wanted > 0 {
		o.Edit, o.Prob = o.Edit/wanted, o.Prob/wanted
	}
	if kept > 0 {
		o.Loc /= kept
	}
}

// answered counts a task's texts that are in scope, are found to be, and are right
// in every row.
func (l *Learner) answered(s *scores, at span) (right float64) {
	row := at.rows.Lo
	for i := at.asked.Lo; i < at.asked.Hi; i++ {
		n := l.step.asked[i].Wanted()
		if l.step.gate[i] >= 0 && !l.step.pairs[l.step.gate[i]].in {
			row += n
			continue
		}
		all := l.inScope(s.s[at.pairs.Lo+i-at.asked.Lo])
		for j := row; j < row+n && len(s.right) > 0; j++ {
			all = all && s.right[j]
		}
		if row += n; all {
			right++
		}
	}
	return right
}

// inScope is the hard decision.
func (l *Learner) inScope(s float64) bool { return math.Exp(s) > l.cfg.Threshold }
