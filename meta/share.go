package meta

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
)

// owners are the processes of a task's texts: of Inner, Outer and Loc. They rise
// in Inner, and from Outer through Loc.
type owners [3][]int

// lists are the texts of t that owners are about.
func (t *Task) lists() [3][]text.Text { return [3][]text.Text{t.Inner, t.Outer, t.Loc} }

// snap is the part of a process's share by which a cut between two processes may
// move so that it does not go through a task.
const snap = 16

// divideTexts gives each of so many processes neighbouring texts, of about as many
// tokens; an edit's own count looks times. No task is cut if whole is set.
func divideTexts(tasks []Task, processes, looks int, whole bool) []owners {
	before := []int{0} // tokens before each task
	for i := range tasks {
		n := looks * tokens(tasks[i].Inner)
		before = append(before, before[i]+n+tokens(tasks[i].Outer)+tokens(tasks[i].Loc))
	}
	total := before[len(tasks)]
	cuts := make([]int, processes-1)
	for r := range cuts {
		cuts[r] = total * (r + 1) / processes
		for _, b := range before {
			if d := b - total*(r+1)/processes; max(d, -d) <= total/processes/snap {
				cuts[r] = b
			}
		}
	}
	out := make([]owners, len(tasks))
	for i := range tasks {
		t, weight := &tasks[i], before[i+1]-before[i]
		lists := t.lists()
		inner, rest := tokens(t.Inner), tokens(t.Outer)+tokens(t.Loc)
		at, of := 0, inner
		for k, list := range lists {
			if k == 1 {
				at, of = 0, rest
			}
			for _, x := range list {
				middle := 2*at + len(x.IDs) // of 2·of
				if at += len(x.IDs); whole {
					middle = of
				}
				r := 0
				for r < len(cuts) && cuts[r]*2*of <= before[i]*2*of+weight*middle {
					r++
				}
				out[i][k] = append(out[i][k], r)
			}
		}
	}
	return out
}

// tokens counts the tokens of texts.
func tokens(texts []text.Text) int {
	n := 0
	for _, x := range texts {
		n += len(x.IDs)
	}
	return n
}

// span is the processes from the first to the last that has a text of a task.
func (w *owners) span() nn.Range {
	s := nn.Range{Lo: w[0][0], Hi: w[0][0] + 1}
	for _, list := range w {
		for _, r := range list {
			s.Lo, s.Hi = min(s.Lo, r), max(s.Hi, r+1)
		}
	}
	return s
}

// divide says which process computes which text. An edit's rows alone, tasks of
// which one is looked for that fails, and parts whose rows are counted together are
// computed by every process; tasks that are scored alone are not cut, as their factors
// stay where they are.
func (o *Objective) divide(tasks []Task, withRest bool) {
	o.Share.Of, o.owners = o.Share.Of[:0], nil
	parts := slices.ContainsFunc(tasks, func(t Task) bool { return len(t.parts()) > 1 })
	if !withRest || o.Watch || o.Share.Peers == nil || o.Share.Peers.Size() == 1 || parts && (o.cfg.Short || o.Net.Exact()) {
		return
	}
	o.owners = divideTexts(tasks, o.Share.Peers.Size(), o.Net.Config.Update.Steps, !o.Mode.Training)
	for i := range o.owners {
		o.Share.Of = append(o.Share.Of, o.owners[i].span())
	}
}

// mine is where in Inner, Outer and Loc of task t this process's texts are.
func (o *Objective) mine(t *Task, i int) (r [3]nn.Range) {
	for k, list := range t.lists() {
		if r[k].Hi = len(list); !o.Share.Divided() {
			continue
		}
		of, me := o.owners[i][k], o.Share.Peers.Rank()
		for r[k].Lo < r[k].Hi && of[r[k].Lo] != me {
			r[k].Lo++
		}
		for r[k].Hi > r[k].Lo && of[r[k].Hi-1] != me {
			r[k].Hi--
		}
	}
	return r
}

// here are the tasks, those of which this process has no text empty.
func (o *Objective) here(tasks []Task) []Task {
	if !o.Share.Divided() {
		return tasks
	}
	out := make([]Task, len(tasks))
	for i, t := range tasks {
		if out[i].ID = t.ID; o.Share.Mine(i) {
			out[i] = t
		}
	}
	return out
}

// outcomes are the tasks' scores, from what the processes have computed.
func (o *Objective) outcomes(m *graph.Machine, tasks []Task) ([]Outcome, error) {
	o.scored = [4]kernel.Matrix{}
	for k, n := range o.g.scores() {
		o.scored[k] = m.Value(n).Clone() // or the machine's memory would stay as long as o
	}
	if o.Share.Divided() {
		if err := o.completeScores(tasks); err != nil {
			return nil, err
		}
	}
	return o.scores(tasks), nil
}

// completeScores makes the scored rows of this process's texts those of all texts:
// loss and hit of each.
func (o *Objective) completeScores(tasks []Task) error {
	const wide = 2
	var mine []float32
	for _, s := range o.scored {
		for i := range s.Rows {
			mine = append(mine, s.Data[i*s.Cols:i*s.Cols+wide]...)
		}
	}
	all, err := o.Share.Peers.Gather(graph.Bytes(mine))
	if err != nil {
		return err
	}
	for k := range o.scored {
		var whole []float32
		take := func(from, rows int) error {
			at := len(whole)
			whole = append(whole, make([]float32, wide*rows)...)
			if len(all[from]) < 4*wide*rows {
				return fmt.Errorf("process %d scored fewer texts than process %d thinks: the processes are not at the same step of the same run", from, o.Share.Peers.Rank())
			}
			all[from] = all[from][copy(graph.Bytes(whole[at:]), all[from]):]
			return nil
		}
		for i := range tasks {
			for j, rows := range tasks[i].scoredRows(k, o.cfg.Margin) {
				if err := take(o.owners[i][min(k, 2)][j], rows); err != nil {
					return err
				}
			}
		}
		o.scored[k] = kernel.Mat(whole, len(whole)/wide, wide)
	}
	return nil
}

// scoredRows are how many rows of a kind each text has: of Inner, Outer and Loc its
// wanted ones, and of contests, which are Loc's.
func (t *Task) scoredRows(kind int, margin float64) []int {
	lists := t.lists()
	texts := lists[min(kind, 2)]
	rows := make([]int, len(texts))
	for i, x := range texts {
		if kind < len(lists) {
			rows[i] = x.Wanted()
		}
	}
	if kind == len(lists) {
		for _, c := range t.contests(margin) {
			rows[c.text]++
		}
	}
	return rows
}
