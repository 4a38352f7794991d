package meta

import (
	"cmp"
	"fmt"
	"slices"

	"keyhole.example/keyhole/text"
)

// Hardest keeps, of the locality texts of each edit of tasks, the given number whose
// prediction the edit changes most, by the KL of their wanted rows, in the order in
// which they stand.
func (o *Objective) Hardest(tasks []Task, keep int) ([]Task, error) {
	for _, t := range tasks {
		if len(t.LocOf) != len(t.Loc) || t.Parts != nil {
			return nil, fmt.Errorf("edit %s: its locality texts do not say which edits they come with", t.ID)
		}
	}
	if _, err := o.Score(tasks); err != nil {
		return nil, err
	}
	scores := o.scored[2]
	out, at := slices.Clone(tasks), 0
	for i, t := range tasks {
		away := make([]float64, len(t.Loc))
		for j, x := range t.Loc {
			away[j], _ = mean(scores, at, x.Wanted())
			at += x.Wanted()
		}
		out[i].Loc, out[i].LocOf = t.hardest(away, keep)
	}
	return out, nil
}

// hardest are the locality texts of each edit with the largest of away.
func (t *Task) hardest(away []float64, keep int) (texts []text.Text, of []int) {
	order := make([]int, len(away))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(away[b], away[a]) })
	kept, taken := make([]bool, len(away)), map[int]int{}
	for _, i := range order {
		if taken[t.LocOf[i]] < keep {
			taken[t.LocOf[i]]++
			kept[i] = true
		}
	}
	for i, x := range t.Loc {
		if kept[i] {
			texts, of = append(texts, x), append(of, t.LocOf[i])
		}
	}
	return texts, of
}
