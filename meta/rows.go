package meta

import (
	"fmt"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// Mark makes t, the text of an edit, say which of its rows change weights: one
// of hypernet's choices of rows. prompt and subject are those that t was made
// of.
func Mark(tok tokenizer.Tokenizer, t *text.Text, rows, prompt, subject string, which text.Occurrence) error {
	switch rows {
	case hypernet.AnswerRows:
		lo := 0
		for lo < len(t.Labels) && t.Labels[lo] < 0 {
			lo++
		}
		t.Rows = nn.Range{Lo: lo, Hi: len(t.IDs)}
	case hypernet.SubjectRows, hypernet.SubjectLast:
		r, err := text.Subject(tok, prompt, subject, which)
		if err != nil {
			return fmt.Errorf("update.rows is %s: %w", rows, err)
		}
		if r.Hi > len(t.IDs) {
			return fmt.Errorf("update.rows is %s: the subject %q was cut off; set data.max_len higher", rows, subject)
		}
		if rows == hypernet.SubjectLast {
			r.Lo = r.Hi - 1
		}
		t.Rows = r
	}
	return nil
}

// keep appends, for each row of texts and for each of their wanted rows, whether
// it changes weights.
func keep(all, wanted []bool, texts []text.Text) (_, _ []bool) {
	for _, t := range texts {
		for i, l := range t.Labels {
			in := t.Rows == nn.Range{} || i >= t.Rows.Lo && i < t.Rows.Hi
			all = append(all, in)
			if l >= 0 {
				wanted = append(wanted, in)
			}
		}
	}
	return all, wanted
}
