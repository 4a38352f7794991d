package meta

import (
	"slices"

	"keyhole.example/keyhole/nn/graph"
)

// divide says which process computes which task. An edit's rows alone, and tasks
// of which one is looked for that fails, are computed by every process.
func (o *Objective) divide(tasks []Task, withRest bool) {
	o.Share.Owner = o.Share.Owner[:0]
	if !withRest || o.Watch {
		return
	}
	weights := make([]int, len(tasks))
	for i, t := range tasks {
		for _, x := range slices.Concat(t.Inner, t.Outer, t.Loc) {
			weights[i] += len(x.IDs)
		}
	}
	o.Share.Divide(weights)
}

// mine are the tasks with those of other processes empty.
func (o *Objective) mine(tasks []Task) []Task {
	if !o.Share.Divided() {
		return tasks
	}
	out := slices.Clone(tasks)
	for t := range out {
		if !o.Share.Mine(t) {
			out[t] = Task{ID: tasks[t].ID}
		}
	}
	return out
}

// outcomes are the tasks' scores: those that a machine has computed, and those of
// other processes.
func (o *Objective) outcomes(m *graph.Machine, tasks []Task) ([]Outcome, error) {
	out := o.scores(m, tasks)
	var numbers []float64
	for _, r := range out {
		numbers = append(numbers, r.Inner, r.Edit, r.Loc, r.Margin, r.Total, r.Right, r.Prob, r.Stability)
	}
	const each = 8
	if err := o.Share.Numbers(numbers, each); err != nil {
		return nil, err
	}
	for t := range out {
		x := numbers[t*each:]
		out[t] = Outcome{x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]}
	}
	return out, nil
}
