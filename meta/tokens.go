package meta

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm/tokenizer"
)

// TextOptions say how records become token sequences.
type TextOptions struct {
	MaxLen   int    // prompts and answers are cut at this many tokens each; 0: never
	Locality string // rows whose distribution has to stay: "text" (every row that predicts a token of the text), "answer", "all" (the row behind the text too, as the reference)
}

// Answer is prompt and answer as one text that asks for the answer's tokens.
// The text ends before the last of them, which predicts nothing.
func Answer(tok tokenizer.Tokenizer, prompt, answer string, o TextOptions) (Text, error) {
	p, a, err := split(tok, prompt, answer, o.MaxLen)
	if err != nil {
		return Text{}, err
	}
	return asked(p, a), nil
}

// Whole is Answer with an error where o would cut the answer: what is made true
// must not be half of it.
func Whole(tok tokenizer.Tokenizer, prompt, answer string, o TextOptions) (Text, error) {
	p, a, err := split(tok, prompt, answer, 0)
	switch {
	case err != nil:
		return Text{}, err
	case o.MaxLen == 0:
		return asked(p, a), nil
	case len(a) > o.MaxLen:
		return Text{}, fmt.Errorf("the target has %d tokens, but the editor was trained to cut at %d (data.max_len); shorten it, or train with a larger data.max_len", len(a), o.MaxLen)
	}
	return asked(p[:min(len(p), o.MaxLen)], a), nil
}

// asked is the tokens of prompt and answer as a text that asks for the answer's.
func asked(p, a []int32) Text {
	t := Text{IDs: append(slices.Clone(p), a[:len(a)-1]...)}
	for i := range t.IDs {
		l := int32(-1)
		if j := i + 1 - len(p); j >= 0 {
			l = a[j]
		}
		t.Labels = append(t.Labels, l)
	}
	return t
}

// Kept is prompt and answer as a text whose distributions have to stay.
func Kept(tok tokenizer.Tokenizer, prompt, answer string, o TextOptions) (Text, error) {
	p, a, err := split(tok, prompt, answer, o.MaxLen)
	if err != nil {
		return Text{}, err
	}
	t := Text{IDs: append(slices.Clone(p), a...)}
	if o.Locality != "all" {
		t.IDs = t.IDs[:len(t.IDs)-1]
	}
	for i := range t.IDs {
		l := int32(0)
		if o.Locality == "answer" && i+1 < len(p) {
			l = -1
		}
		t.Labels = append(t.Labels, l)
	}
	return t, nil
}

// split tokenises prompt + " " + answer and cuts it where the prompt ends. The
// answer's tokens are those of the joint text behind the prompt's own.
func split(tok tokenizer.Tokenizer, prompt, answer string, maxLen int) (p, a []int32, err error) {
	if prompt == "" {
		return nil, nil, fmt.Errorf("the prompt is empty")
	}
	p = tok.EncodeSpecial(prompt)
	full := tok.EncodeSpecial(prompt + " " + answer)
	if len(full) <= len(p) {
		return nil, nil, fmt.Errorf("target %q tokenises to nothing after %q", answer, prompt)
	}
	a = full[len(p):]
	if maxLen > 0 {
		p, a = p[:min(len(p), maxLen)], a[:min(len(a), maxLen)]
	}
	return p, a, nil
}

// Maker turns records into tasks. What is drawn at random (which rephrasing,
// which locality prompt) depends on the seed, the record and the visit alone.
type Maker struct {
	Tok      tokenizer.Tokenizer
	Text     TextOptions
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
		inner, err := Answer(m.Tok, r.Prompt, r.TargetNew, m.Text)
		if err != nil {
			return t, fmt.Errorf("%s: %w", where(r), err)
		}
		t.Inner = append(t.Inner, inner)
		outer, err := Answer(m.Tok, m.asked(r, visit), r.TargetNew, m.Text)
		if err != nil {
			return t, fmt.Errorf("%s: rephrasing: %w", where(r), err)
		}
		t.Outer = append(t.Outer, outer)
	}
	loc, err := m.locality(&records[0], visit)
	if err != nil {
		return t, err
	}
	t.Loc = []Text{loc}
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
func (m *Maker) locality(r *data.Edit, visit int) (Text, error) {
	var pool []data.Prompt
	for _, kind := range Kinds(r.Locality) {
		pool = append(pool, r.Locality[kind]...)
	}
	var p data.Prompt
	if len(pool) > 0 {
		p = pool[data.Choose(m.Seed, "locality/"+r.ID, visit, len(pool))]
	} else {
		other, err := m.borrow(r, visit)
		if err != nil {
			return Text{}, err
		}
		answer := other.TargetNew
		if len(other.TargetTrue) > 0 {
			answer = other.TargetTrue[0]
		}
		p = data.Prompt{Prompt: other.Prompt, Answers: [][]string{{answer}}}
	}
	t, err := Kept(m.Tok, p.Prompt, p.Answers[0][0], m.Text)
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

// Kinds are the keys of prompts by kind, in a fixed order.
func Kinds(m map[string][]data.Prompt) []string {
	kinds := make([]string, 0, len(m))
	for k := range m {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	return kinds
}

func where(r *data.Edit) string {
	return fmt.Sprintf("%s line %d (edit %s)", r.Source.File, r.Source.Line, r.ID)
}
