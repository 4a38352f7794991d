package meta

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// contest is a locality text in which the answer has a rival.
type contest struct {
	text, row  int   // its place among the task's locality texts, and among their wanted rows that which asks for its first token
	own, rival int32 // that token, and the first one of the target of the edit that the text comes with
}

// contests are those of t.
func (t *Task) contests(margin float64) (list []contest) {
	if margin == 0 || len(t.LocOf) != len(t.Loc) {
		return nil
	}
	at := 0
	for i, x := range t.Loc {
		a, b := firstLabel(x), firstLabel(t.Inner[t.LocOf[i]])
		if a >= 0 && b >= 0 && a != b {
			list = append(list, contest{i, at, a, b})
		}
		at += x.Wanted()
	}
	return list
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

// addRivals lays out the contests of those of a task's locality texts that are mine,
// whose wanted rows begin at row lo.
func (o *Objective) addRivals(t *Task, mine nn.Range, lo int) {
	lo -= text.Wanted(t.Loc[:mine.Lo])
	list := t.contests(o.cfg.Margin)
	for _, c := range list {
		if c.text < mine.Lo || c.text >= mine.Hi {
			continue
		}
		o.marginRows.V = append(o.marginRows.V, int32(lo+c.row))
		o.rivals.IDs, o.rivals.Than = append(o.rivals.IDs, c.own), append(o.rivals.Than, c.rival)
		o.rivals.Weight = append(o.rivals.Weight, float32(o.cfg.CMargin)/float32(len(list)))
	}
}

// margin adds what a task's contests lost to its outcome, those from score row at on;
// it returns where the next task's begin.
func (o *Objective) margin(t *Task, r *Outcome, scores kernel.Matrix, at int) int {
	n := len(t.contests(o.cfg.Margin))
	if n == 0 {
		return at
	}
	r.Margin, _ = mean(scores, at, n)
	r.Total += o.cfg.CMargin * r.Margin
	return at + n
}
