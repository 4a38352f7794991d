package text

import "keyhole.example/keyhole/nn"

// Shared is texts in one matrix, as Packed is. What a text has in common with an
// earlier one of its task at the beginning lies there once: later tokens do not
// change what a causal model computes for it. Rows whose answers are asked for are
// always the text's own.
type Shared struct {
	IDs   nn.IDs
	Seq   nn.Sequences // Keys: the rows of the texts one behind the other, each text complete
	Want  nn.RowSet
	Tasks []nn.Range // rows of the tasks

	next map[step]int32
	task int
	seen []int32 // memory of lying
}

// step is a token behind a row, or a text's first token behind row −1.
type step struct{ row, id int32 }

// NewShared makes room for the texts of so many tasks, 0 if rows of all texts are
// computed with the same weights.
func NewShared(tasks int) *Shared {
	s := &Shared{next: map[step]int32{}}
	if tasks > 0 {
		s.Tasks, s.Want.Tasks = make([]nn.Range, tasks), make([]nn.Range, tasks)
	}
	return s
}

// lying lists the rows of a task's text's first tokens that are there already.
func (s *Shared) lying(t Text, task int) []int32 {
	s.seen = s.seen[:0]
	if task != s.task {
		return s.seen
	}
	row := int32(-1)
	for i, id := range t.IDs {
		next, ok := s.next[step{row, id}]
		if !ok || t.Labels[i] >= 0 {
			break
		}
		row = next
		s.seen = append(s.seen, row)
	}
	return s.seen
}

// Rows is the number of rows.
func (s *Shared) Rows() int { return s.Seq.Rows() }

// Fits tells whether a task's text may join those that are there: the first may,
// and others as far as rows and keys are no more than the limits. Keys are bounded
// too, since a long beginning that many texts share takes few rows, but all its keys
// in each.
func (s *Shared) Fits(t Text, task, rows, keys int) bool {
	n := len(t.IDs)
	return s.Rows() == 0 || s.Rows()+n-len(s.lying(t, task)) <= rows && len(s.Seq.Keys)+n <= keys
}

// Add puts a text of a task there and returns the number of its first tokens that
// lay there already. Texts of one task follow each other.
func (s *Shared) Add(t Text, task int) int {
	if task != s.task {
		clear(s.next)
		s.task = task
	}
	seen := s.lying(t, task)
	shared, wanted := len(seen), nn.Range{Lo: len(s.Want.V)}
	rows := s.Seq.Behind(seen, len(t.IDs)-shared)
	last := int32(-1)
	if shared > 0 {
		last = seen[shared-1]
	}
	s.IDs.V = append(s.IDs.V, t.IDs[shared:]...)
	for i := shared; i < len(t.IDs); i++ {
		at, row := step{last, t.IDs[i]}, int32(rows.Lo+i-shared)
		if _, ok := s.next[at]; !ok {
			s.next[at] = row
		}
		if last = row; t.Labels[i] >= 0 {
			s.Want.V = append(s.Want.V, row)
		}
	}
	wanted.Hi = len(s.Want.V)
	if len(s.Tasks) > 0 {
		s.Tasks[task], s.Want.Tasks[task] = joined(s.Tasks[task], rows), joined(s.Want.Tasks[task], wanted)
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
