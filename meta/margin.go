package meta

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/text"
)

// contests are the locality texts of t in which the answer has a rival: the row, among
// their wanted ones, that asks for its first token, that token, and the first one of
// the target of the edit that the text comes with.
func (t *Task) contests(margin float64) (rows []int, own, rival []int32) {
	if margin == 0 || len(t.LocOf) != len(t.Loc) {
		return nil, nil, nil
	}
	at := 0
	for i, x := range t.Loc {
		a, b := firstLabel(x), firstLabel(t.Inner[t.LocOf[i]])
		if a >= 0 && b >= 0 && a != b {
			rows, own, rival = append(rows, at), append(own, a), append(rival, b)
		}
		at += x.Wanted()
	}
	return rows, own, rival
}

// firstLabel is the first token that t asks for, −1 where there is none.
func firstLabel(t text.Text) int32 {
	for _, l := range t.Labels {
		if l >= 0 {
			return l
		}
	}
	return -1
}

// addRivals lays out the contests of a task, whose locality texts' wanted rows begin
// at row lo.
func (o *Objective) addRivals(t *Task, lo int) {
	rows, own, rival := t.contests(o.cfg.Margin)
	for i, r := range rows {
		o.marginRows.V = append(o.marginRows.V, int32(lo+r))
		o.rivals.IDs, o.rivals.Than = append(o.rivals.IDs, own[i]), append(o.rivals.Than, rival[i])
		o.rivals.Weight = append(o.rivals.Weight, float32(o.cfg.CMargin)/float32(len(rows)))
	}
}

// margin adds what a task's contests lost to its outcome, those from score row at on;
// it returns where the next task's begin.
func (o *Objective) margin(t *Task, r *Outcome, scores kernel.Matrix, at int) int {
	rows, _, _ := t.contests(o.cfg.Margin)
	if len(rows) == 0 {
		return at
	}
	r.Margin, _ = mean(scores, at, len(rows))
	r.Total += o.cfg.CMargin * r.Margin
	return at + len(rows)
}
