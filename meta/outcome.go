package meta

import (
	"math"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/text"
)

// Outcome is what a task scored.
type Outcome struct {
	Inner     float64 // inner loss, before the edit
	Edit      float64 // edit loss (mean over labelled tokens), after it
	Loc       float64 // KL(base ‖ edited), mean over rows
	Margin    float64 // what lacks of the margin on locality texts, mean over them
	Total     float64 // cedit·Edit + cloc·Loc + cmargin·Margin
	Right     float64 // share of scored texts whose every token is the most probable one
	Prob      float64 // mean probability of the labelled tokens
	Stability float64 // share of locality rows whose most probable token stays
}

// scores reads the rows of losses and hits of the tasks' wanted tokens.
func (o *Objective) scores(tasks []Task) []Outcome {
	inner, outer, loc, contest := o.scored[0], o.scored[1], o.scored[2], o.scored[3]
	out := make([]Outcome, len(tasks))
	ai, ao, al, am := 0, 0, 0, 0
	for t, task := range tasks {
		r := &out[t]
		for _, x := range task.Inner {
			n := x.Wanted()
			loss, _ := mean(inner, ai, n)
			r.Inner += loss * float64(n) / float64(text.Wanted(task.Inner))
			ai += n
		}
		outer0, tokens := ao, text.Wanted(task.Outer)
		for _, x := range task.Outer {
			n := x.Wanted()
			if _, hits := mean(outer, ao, n); hits == 1 {
				r.Right += 1 / float64(len(task.Outer))
			}
			for i := range n {
				r.Prob += math.Exp(-float64(outer.Data[(ao+i)*outer.Cols])) / float64(tokens)
			}
			ao += n
		}
		n := text.Wanted(task.Loc)
		_, r.Stability = mean(loc, al, n)
		o.losses(&task, r, outer, loc, outer0, al)
		am = o.margin(&task, r, contest, am)
		al += n
	}
	return out
}

// losses are the means of a task's parts, by weight, and what they add up to. Its
// first rows of outer and loc are given.
func (o *Objective) losses(t *Task, r *Outcome, outer, loc kernel.Matrix, ao, al int) {
	outers, locs := t.Outer, t.Loc
	weights := 0.0
	for _, p := range t.parts() {
		n, k, w := text.Wanted(outers[:p.Outer]), text.Wanted(locs[:p.Loc]), float64(p.Weight)
		edit, _ := mean(outer, ao, n)
		away, _ := mean(loc, al, k)
		r.Edit, r.Loc, weights = r.Edit+w*edit, r.Loc+w*away, weights+w
		r.Total += w * (o.cfg.CEdit*edit + o.cfg.CLoc*away)
		outers, locs, ao, al = outers[p.Outer:], locs[p.Loc:], ao+n, al+k
	}
	r.Edit, r.Loc = r.Edit/weights, r.Loc/weights
}

// mean averages loss and hit of n score rows from row at on.
func mean(s kernel.Matrix, at, n int) (loss, hit float64) {
	for i := at; i < at+n; i++ {
		loss += float64(s.Data[i*s.Cols]) / float64(n)
		hit += float64(s.Data[i*s.Cols+1])
	}
	return loss, hit / float64(max(n, 1))
}
