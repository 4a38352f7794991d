package meta

import (
	"fmt"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/text"
)

// Task is one example of meta-training: edits made together (Inner), what
// they are scored on (Outer, usually rephrasings), and unrelated texts.
type Task struct {
	ID                string
	Inner, Outer, Loc []text.Text
}

// Maker turns records into tasks. What is drawn at random (which rephrasing,
// which locality prompt) depends on the seed, the record and the visit alone.
type Maker struct {
	Tok      tokenizer.Tokenizer
	Text     text.Options
	Rephrase bool // score a rephrasing; false: the edit prompt itself
	// OwnPrompt counts the edit prompt among the rephrasings that are drawn from.
	OwnPrompt bool
	Seed      uint64
	Records   []data.Edit // where a record without locality prompts borrows one
}

// Task makes one task of the records, at the given visit to them.
func (m *Maker) Task(records []data.Edit, visit int) (Task, error) {
	t := Task{ID: records[0].ID}
	for i := range records {
		r := &records[i]
		inner, err := text.Answer(m.Tok, r.Prompt, r.TargetNew, m.Text)
		if err != nil {
			return t, fmt.Errorf("%s: %w", where(r), err)
		}
		t.Inner = append(t.Inner, inner)
		outer, err := text.Answer(m.Tok, m.asked(r, visit), r.TargetNew, m.Text)
		if err != nil {
			return t, fmt.Errorf("%s: rephrasing: %w", where(r), err)
		}
		t.Outer = append(t.Outer, outer)
	}
	loc, err := m.locality(&records[0], visit)
	if err != nil {
		return t, err
	}
	t.Loc = []text.Text{loc}
	return t, nil
}

// asked is the prompt that the edited model is asked.
func (m *Maker) asked(r *data.Edit, visit int) string {
	n := len(r.Paraphrases)
	if !m.Rephrase || n == 0 {
		return r.Prompt
	}
	if m.OwnPrompt {
		n++
	}
	if i := data.Choose(m.Seed, "paraphrase/"+r.ID, visit, n); i < len(r.Paraphrases) {
		return r.Paraphrases[i]
	}
	return r.Prompt
}

// locality draws one of the record's locality prompts, or another record's
// own prompt with its answer.
func (m *Maker) locality(r *data.Edit, visit int) (text.Text, error) {
	var pool []data.Prompt
	for _, kind := range data.Kinds(r.Locality) {
		pool = append(pool, r.Locality[kind]...)
	}
	var p data.Prompt
	if len(pool) > 0 {
		p = pool[data.Choose(m.Seed, "locality/"+r.ID, visit, len(pool))]
	} else {
		other, err := m.borrow(r, visit)
		if err != nil {
			return text.Text{}, err
		}
		answer := other.TargetNew
		if len(other.TargetTrue) > 0 {
			answer = other.TargetTrue[0]
		}
		p = data.Prompt{Prompt: other.Prompt, Answers: [][]string{{answer}}}
	}
	t, err := text.Kept(m.Tok, p.Prompt, p.Answers[0][0], m.Text)
	if err != nil {
		return t, fmt.Errorf("%s: locality: %w", where(r), err)
	}
	return t, nil
}

func (m *Maker) borrow(r *data.Edit, visit int) (*data.Edit, error) {
	for try := range 100 {
		o := &m.Records[data.Choose(m.Seed, fmt.Sprintf("borrow/%d/%s", try, r.ID), visit, len(m.Records))]
		if o.ID != r.ID && o.Subject != r.Subject {
			return o, nil
		}
	}
	return nil, fmt.Errorf("%s: it has no locality prompt and the data holds no other subject to borrow one from; give a file of unrelated questions", where(r))
}

func where(r *data.Edit) string {
	return fmt.Sprintf("%s line %d (edit %s)", r.Source.File, r.Source.Line, r.ID)
}
