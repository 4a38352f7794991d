package text

import "keyhole.example/keyhole/nn"

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

// AppendRows appends the text's labelled rows, where its first row is row first.
func (t Text) AppendRows(rows []int32, first int) []int32 {
	for i, l := range t.Labels {
		if l >= 0 {
			rows = append(rows, int32(first+i))
		}
	}
	return rows
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
	ids, lengths := &nn.IDs{}, make([]int, len(texts))
	for i, t := range texts {
		ids.V = append(ids.V, t...)
		lengths[i] = len(t)
	}
	return ids, nn.Pack(lengths...)
}

// Packed is a list of texts laid one behind the other, with the rows at which
// something is asked.
type Packed struct {
	Lengths []int // of the texts
	Seq     nn.Sequences
	Want    nn.RowSet
}

// Reset empties the list.
func (p *Packed) Reset() {
	p.Lengths = p.Lengths[:0]
	p.Want.V, p.Want.Tasks = p.Want.V[:0], p.Want.Tasks[:0]
}

// Add appends texts, and returns the range of their wanted rows; rows is the
// number of rows so far.
func (p *Packed) Add(texts []Text, rows *int) (wanted nn.Range) {
	wanted.Lo = len(p.Want.V)
	for _, t := range texts {
		p.Lengths = append(p.Lengths, len(t.IDs))
		p.Want.V = t.AppendRows(p.Want.V, *rows)
		*rows += len(t.IDs)
	}
	wanted.Hi = len(p.Want.V)
	return wanted
}

// AppendLabels appends the labels at the wanted rows of texts.
func AppendLabels(ids []int32, texts []Text) []int32 {
	for _, t := range texts {
		for _, l := range t.Labels {
			if l >= 0 {
				ids = append(ids, l)
			}
		}
	}
	return ids
}
