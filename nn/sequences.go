package nn

import "keyhole.example/keyhole/internal/kernel"

// IDs is a list of token ids or positions. Graphs keep the pointer and read
// the list anew at each run.
type IDs struct{ V []int32 }

// Range is a half-open range of rows.
type Range struct{ Lo, Hi int }

// Of is the view of m's rows in r.
func (r Range) Of(m kernel.Matrix) kernel.Matrix { return m.Slice(r.Lo, r.Hi) }

// RowSet is a list of rows to keep, in ascending order. Tasks[t] are the kept
// rows (counted in the list) that belong to task t, an independent edit.
// Cap bounds len(V) in a graph.
type RowSet struct {
	V     []int32
	Tasks []Range
	Cap   int
}

// Sequences describes packed texts: row i stands at position Pos[i] of its
// text; Segs say which rows attend to which. Tasks[t] are the rows that belong
// to task t, an independent edit; it may be empty when nothing is edited.
//
// Segs count keys in the rows at hand, unless Past or Keys say otherwise. Past
// alone: in the rows kept and, behind them, those at hand, which are kept too.
// Keys lists the rows that are counted: i is row i at hand, ^i row i of Past.
type Sequences struct {
	Pos   []int32
	Segs  []kernel.Segment
	Tasks []Range
	Past  *Keys
	Keys  []int32
}

// Pack describes texts of the given lengths laid one after another.
func Pack(lengths ...int) *Sequences {
	s := &Sequences{}
	s.Set(lengths)
	return s
}

// Set makes s describe texts of the given lengths, reusing its memory.
func (s *Sequences) Set(lengths []int) {
	s.Pos, s.Segs, s.Tasks, s.Past, s.Keys = s.Pos[:0], s.Segs[:0], s.Tasks[:0], nil, nil
	for _, n := range lengths {
		at := len(s.Pos)
		for i := range n {
			s.Pos = append(s.Pos, int32(i))
		}
		s.Segs = append(s.Segs, kernel.Segment{Q: at, QLen: n, K: at, KLen: n})
	}
}

// Rows is the number of packed rows.
func (s *Sequences) Rows() int { return len(s.Pos) }
