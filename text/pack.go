package text

import (
	"slices"

	"keyhole.example/keyhole/nn"
)

// Text is a token sequence. Labels[i] is the token wanted after row i, or -1
// where nothing is asked. In locality texts a label only marks a row whose
// distribution has to stay; its value is not used.
type Text struct {
	IDs    []int32
	Labels []int32
	Rows   nn.Range // rows of an edit that change weights; empty: all
}

// Wanted is the number of the text's labelled rows.
func (t Text) Wanted() int {
	n := 0
	for _, l := range t.Labels {
		if l >= 0 {
			n++
		}
	}
	return n
}

// Prompt is the number of the text's tokens up to the first labelled row, that row
// included; 0 if there is none.
func (t Text) Prompt() int {
	return slices.IndexFunc(t.Labels, func(l int32) bool { return l >= 0 }) + 1
}

// Wanted is the number of labelled rows of texts.
func Wanted(texts []Text) int {
	n := 0
	for _, t := range texts {
		n += t.Wanted()
	}
	return n
}

// Lay puts texts, each its tokens, one behind the other.
func Lay(texts ...[]int32) (*nn.IDs, *nn.Sequences) {
	ids, s := &nn.IDs{}, &nn.Sequences{}
	for _, t := range texts {
		ids.V = append(ids.V, t...)
		s.Append(len(t))
	}
	return ids, s
}

// Packed is texts laid one behind the other, with the rows at which something is
// asked and what is asked there. Graphs may be built with pointers to its parts.
type Packed struct {
	IDs    nn.IDs
	Seq    nn.Sequences
	Want   nn.RowSet
	Labels []int32    // of the rows of Want
	Tasks  []nn.Range // rows that belong to a task, an independent edit, where who packs says so
}

// Pack lays texts out.
func Pack(texts ...Text) *Packed {
	p := &Packed{}
	p.Add(texts...)
	return p
}

// Reset takes all texts out, and keeps the memory.
func (p *Packed) Reset() {
	p.IDs.V, p.Labels, p.Tasks = p.IDs.V[:0], p.Labels[:0], p.Tasks[:0]
	p.Want.V, p.Want.Tasks = p.Want.V[:0], p.Want.Tasks[:0]
	p.Seq.Reset()
}

// Add puts texts behind those that are there, and returns the ranges of their rows
// and, among the wanted ones, of their wanted rows.
func (p *Packed) Add(texts ...Text) (rows, wanted nn.Range) {
	rows.Lo, wanted.Lo = p.Rows(), len(p.Want.V)
	for _, t := range texts {
		first := p.Seq.Append(len(t.IDs)).Lo
		p.IDs.V = append(p.IDs.V, t.IDs...)
		for i, l := range t.Labels {
			if l >= 0 {
				p.Want.V, p.Labels = append(p.Want.V, int32(first+i)), append(p.Labels, l)
			}
		}
	}
	rows.Hi, wanted.Hi = p.Rows(), len(p.Want.V)
	return rows, wanted
}

// Rows is the number of rows.
func (p *Packed) Rows() int { return p.Seq.Rows() }

// Fitting is how many texts at the beginning of a list, of so many tokens each, have
// no more rows than a limit together; the first one always fits.
func Fitting[T any](list []T, tokens func(T) int, limit int) int {
	n, rows := 0, 0
	for n < len(list) && (n == 0 || rows+tokens(list[n]) <= limit) {
		rows += tokens(list[n])
		n++
	}
	return n
}
