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
// text; Segs say which rows attend to which.
//
// Segs count keys in the rows at hand, unless Past or Keys say otherwise. Past
// alone: in the rows kept and, behind them, those at hand, which are kept too.
// Keys lists the rows that are counted: i is row i at hand, ^i row i of Past; those
// at hand are then kept only if Keep says so.
type Sequences struct {
	Pos  []int32
	Segs []kernel.Segment
	Past *Keys
	Keys []int32
	Keep bool
}

// Pack describes texts of the given lengths laid one after another.
func Pack(lengths ...int) *Sequences {
	s := &Sequences{}
	for _, n := range lengths {
		s.Append(n)
	}
	return s
}

// Reset makes s describe no text, and keeps its memory.
func (s *Sequences) Reset() {
	s.Pos, s.Segs, s.Past, s.Keys, s.Keep = s.Pos[:0], s.Segs[:0], nil, nil, false
}

// Append puts a text of n rows behind those of s, and returns where they are.
func (s *Sequences) Append(n int) Range {
	r := s.positions(0, n)
	s.Segs = append(s.Segs, kernel.Segment{Q: r.Lo, QLen: n, K: r.Lo, KLen: n})
	return r
}

// Behind puts the last n rows of a text behind those of s, and returns where they
// are; seen lists the text's rows before them, as Keys does. All texts of s are put
// there in this way.
func (s *Sequences) Behind(seen []int32, n int) Range {
	r, key := s.positions(len(seen), n), len(s.Keys)
	s.Keys = append(s.Keys, seen...)
	for i := r.Lo; i < r.Hi; i++ {
		s.Keys = append(s.Keys, int32(i))
	}
	s.Segs = append(s.Segs, kernel.Segment{Q: r.Lo, QLen: n, K: key, KLen: len(seen) + n})
	return r
}

// Rest describes rows parts[i] of each segment i of s, and lists them; those before
// them are seen as a computation of s kept them in past, those behind them by none.
// s has no Past and no Keys of its own.
func (s *Sequences) Rest(parts []Range, past *Keys) (rest Sequences, rows []int32) {
	rest.Past = past
	for r := range s.Pos {
		rest.Keys = append(rest.Keys, ^int32(r))
	}
	for i, g := range s.Segs {
		p := parts[i]
		if p.Lo == p.Hi {
			continue
		}
		behind := g.Q + g.QLen - p.Hi
		rest.Segs = append(rest.Segs, kernel.Segment{Q: len(rows), QLen: p.Hi - p.Lo, K: g.K, KLen: g.KLen - behind})
		for r := p.Lo; r < p.Hi; r++ {
			rest.Keys[r] = int32(len(rows))
			rest.Pos = append(rest.Pos, s.Pos[r])
			rows = append(rows, int32(r))
		}
	}
	return rest, rows
}

// positions adds n rows that stand one behind the other from a position on.
func (s *Sequences) positions(from, n int) Range {
	r := Range{Lo: len(s.Pos), Hi: len(s.Pos) + n}
	for i := range n {
		s.Pos = append(s.Pos, int32(from+i))
	}
	return r
}

// Rows is the number of packed rows.
func (s *Sequences) Rows() int { return len(s.Pos) }
