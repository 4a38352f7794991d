package meta

import "keyhole.example/keyhole/nn"

// Text is a token sequence. Labels[i] is the token wanted after row i, or -1
// where nothing is asked. In locality texts a label only marks a row whose
// distribution has to stay; its value is not used.
type Text struct {
	IDs    []int32
	Labels []int32
}

// Task is one example of meta-training: edits made together (Inner), what
// they are scored on (Outer, usually rephrasings), and unrelated texts.
type Task struct {
	ID                string
	Inner, Outer, Loc []Text
}

// packed is a list of texts laid one behind the other, with the rows at which
// something is asked.
type packed struct {
	texts   []Text
	lengths []int
	seq     nn.Sequences
	want    nn.RowSet
}

func (p *packed) reset() {
	p.texts, p.lengths = p.texts[:0], p.lengths[:0]
	p.want.V, p.want.Tasks = p.want.V[:0], p.want.Tasks[:0]
}

// add appends texts, and returns the range of their wanted rows.
func (p *packed) add(texts []Text, rows *int) (wanted nn.Range) {
	wanted.Lo = len(p.want.V)
	for _, t := range texts {
		p.texts = append(p.texts, t)
		p.lengths = append(p.lengths, len(t.IDs))
		for i, l := range t.Labels {
			if l >= 0 {
				p.want.V = append(p.want.V, int32(*rows+i))
			}
		}
		*rows += len(t.IDs)
	}
	wanted.Hi = len(p.want.V)
	return wanted
}

// appendLabels appends the labels at the wanted rows of texts.
func appendLabels(ids []int32, texts []Text) []int32 {
	for _, t := range texts {
		for _, l := range t.Labels {
			if l >= 0 {
				ids = append(ids, l)
			}
		}
	}
	return ids
}

func appendWeight(w []float32, n int, x float32) []float32 {
	for range n {
		w = append(w, x)
	}
	return w
}

// wanted is the number of labelled rows of texts.
func wanted(texts []Text) int {
	n := 0
	for _, t := range texts {
		for _, l := range t.Labels {
			if l >= 0 {
				n++
			}
		}
	}
	return n
}
