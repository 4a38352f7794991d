package meta

import (
	"cmp"
	"math"
	"slices"

	"keyhole.example/keyhole/text"
)

// Part is texts of a task whose losses are averaged: so many behind those of the
// part before. The parts' losses add up, each times its weight.
type Part struct {
	Inner, Outer, Loc int
	Weight            float32
}

// parts are the task's, with the texts of each.
func (t *Task) parts() []Part {
	if t.Parts == nil {
		return []Part{{len(t.Inner), len(t.Outer), len(t.Loc), 1}}
	}
	return t.Parts
}

// Cut says what parts a task has: those of Size edits each, the last of what is
// left, with their rephrasings and locality texts; 0: one part. Sorted, texts stand
// longest first, each kind by itself, so that a part's rephrasings need not be of its
// edits (the mini-batches of MALMEN's reference).
type Cut struct {
	Size   int
	Sorted bool
}

// Parts makes the parts of t.
func (c Cut) Parts(t *Task) {
	if c.Size == 0 {
		return
	}
	t.Parts = nil
	for lo := 0; lo < len(t.Inner); lo += c.Size {
		hi := min(lo+c.Size, len(t.Inner))
		count := func(of []int) (n int) {
			for _, i := range of {
				if lo <= i && i < hi {
					n++
				}
			}
			return n
		}
		t.Parts = append(t.Parts, Part{hi - lo, count(t.OuterOf), count(t.LocOf), 1})
	}
	if !c.Sorted {
		return
	}
	var at []int // where each edit has gone
	t.Inner, at = longestFirst(t.Inner, nil)
	t.Outer, t.OuterOf = longestFirst(t.Outer, moved(t.OuterOf, at))
	t.Loc, t.LocOf = longestFirst(t.Loc, moved(t.LocOf, at))
}

// longestFirst sorts texts, and of with them; of nil: where each text has gone.
func longestFirst(texts []text.Text, of []int) ([]text.Text, []int) {
	order := make([]int, len(texts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(texts[b].IDs), len(texts[a].IDs)) })
	sorted, out := make([]text.Text, len(texts)), make([]int, len(texts))
	for to, from := range order {
		sorted[to] = texts[from]
		if of == nil {
			out[from] = to
		} else {
			out[to] = of[from]
		}
	}
	return sorted, out
}

// moved are the edits of of where at says that they are.
func moved(of, at []int) []int {
	out := make([]int, len(of))
	for i, e := range of {
		out[i] = at[e]
	}
	return out
}

// LookBack is t with what the tasks before it, the latest first, are scored on, each
// one's loss times decay of the one behind it (RLEdit's memory of earlier turns).
func (t Task) LookBack(before []Task, decay float64) Task {
	if len(before) == 0 {
		return t
	}
	t.Outer, t.Loc, t.Parts = slices.Clone(t.Outer), slices.Clone(t.Loc), slices.Clone(t.parts())
	t.OuterOf, t.LocOf = nil, nil // they come with edits of other tasks
	for i, old := range before {
		t.Outer, t.Loc = append(t.Outer, old.Outer...), append(t.Loc, old.Loc...)
		for _, p := range old.parts() {
			t.Parts = append(t.Parts, Part{0, p.Outer, p.Loc, p.Weight * float32(math.Pow(decay, float64(i+1)))})
		}
	}
	return t
}
