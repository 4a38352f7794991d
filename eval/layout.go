package eval

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// layout is texts in one matrix. What a text has in common with an earlier one
// of its task at the beginning lies there once: later tokens do not change what
// a causal model computes for it. Rows whose answers are asked for are always
// the text's own.
type layout struct {
	ids  nn.IDs
	seq  nn.Sequences // Keys: the rows of the texts one behind the other, each text complete
	want nn.RowSet

	next map[step]int32
	task int
}

// step is a token behind a row, or a text's first token behind row −1.
type step struct{ row, id int32 }

// newLayout makes room for the texts of so many tasks, 0 if rows of all texts
// are computed with the same weights.
func newLayout(tasks int) *layout {
	l := &layout{next: map[step]int32{}}
	if tasks > 0 {
		l.seq.Tasks, l.want.Tasks = make([]nn.Range, tasks), make([]nn.Range, tasks)
	}
	return l
}

// shared is the number of a task's text's first tokens that lie there already.
func (l *layout) shared(t text.Text, task int) int {
	if task != l.task {
		return 0
	}
	row := int32(-1)
	for i, id := range t.IDs {
		next, ok := l.next[step{row, id}]
		if !ok || t.Labels[i] >= 0 {
			return i
		}
		row = next
	}
	return len(t.IDs)
}

// rows is the number of rows.
func (l *layout) rows() int { return len(l.ids.V) }

// add appends a text of a task and returns the number of its first tokens that
// lay there already. Texts of one task follow each other.
func (l *layout) add(t text.Text, task int) int {
	if task != l.task {
		clear(l.next)
		l.task = task
	}
	shared, key := l.shared(t, task), len(l.seq.Keys)
	rows, want := nn.Range{Lo: l.rows()}, nn.Range{Lo: len(l.want.V)}
	row := int32(-1)
	for i, id := range t.IDs {
		at := step{row, id}
		if i < shared {
			row = l.next[at]
			l.seq.Keys = append(l.seq.Keys, row)
			continue
		}
		row = int32(len(l.ids.V))
		if _, ok := l.next[at]; !ok {
			l.next[at] = row
		}
		l.seq.Keys = append(l.seq.Keys, row)
		l.ids.V = append(l.ids.V, id)
		l.seq.Pos = append(l.seq.Pos, int32(i))
		if t.Labels[i] >= 0 {
			l.want.V = append(l.want.V, row)
		}
	}
	rows.Hi, want.Hi = l.rows(), len(l.want.V)
	l.seq.Segs = append(l.seq.Segs, kernel.Segment{Q: rows.Lo, QLen: rows.Hi - rows.Lo, K: key, KLen: len(t.IDs)})
	if len(l.seq.Tasks) > 0 {
		l.seq.Tasks[task], l.want.Tasks[task] = joined(l.seq.Tasks[task], rows), joined(l.want.Tasks[task], want)
	}
	return shared
}

// joined is a with b behind it.
func joined(a, b nn.Range) nn.Range {
	if a.Hi == a.Lo {
		return b
	}
	return nn.Range{Lo: a.Lo, Hi: b.Hi}
}
