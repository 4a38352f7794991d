package meta

import (
	"cmp"
	"fmt"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/text"
)

// Task is one example of meta-training: edits made together (Inner), what
// they are scored on (Outer, usually rephrasings), and unrelated texts.
type Task struct {
	ID                string
	Inner, Outer, Loc []text.Text
	Stay              []text.Text // at their Rows, the layers' outputs must not follow the edit
	// OuterOf and LocOf are the edits, by their place in Inner, that the texts of
	// Outer and Loc come with.
	OuterOf, LocOf []int
	Condition      []int32 // what a network that reads is given of the edits; nil: their own tokens
	Parts          []Part  // in their order; nil: all texts are one
}

// condition is what the network reads.
func (t *Task) condition() []int32 {
	if t.Condition != nil {
		return t.Condition
	}
	var ids []int32
	for _, x := range t.Inner {
		ids = append(ids, x.IDs...)
		if n := len(x.Labels); n > 0 && x.Labels[n-1] >= 0 {
			ids = append(ids, x.Labels[n-1]) // the target's last token, which the text asks for
		}
	}
	return ids
}

// Maker turns records into tasks. What is drawn at random (which rephrasing,
// which locality prompt) depends on the seed, the record and the visit alone.
type Maker struct {
	Tok      tokenizer.Tokenizer
	Text     text.Options
	Rephrase bool // score a rephrasing; false: the edit prompt itself
	// OwnPrompt counts the edit prompt among the rephrasings that are drawn from.
	OwnPrompt bool
	// Paraphrases and Localities are how many of them an edit has in a task, as
	// far as the record has so many; 0: one.
	Paraphrases, Localities int
	// Propagation is how many questions whose answers follow from an edit are asked
	// beside its rephrasings, as far as the record has so many.
	Propagation int
	// Prefixes is the share of what an edit is asked that stands behind a sentence
	// about something else.
	Prefixes float64
	Rows     string // which rows of an edit change weights, see Mark; "": all
	Seed     uint64
	Records  []data.Edit // where a record without locality prompts borrows one
	Others   Others      // subjects for an edit's negatives
	Cut      Cut         // what parts a task has
}

// Task makes one task of the records, at the given visit to them.
func (m *Maker) Task(records []data.Edit, visit int) (Task, error) {
	t := Task{ID: records[0].ID}
	for i := range records {
		r := &records[i]
		inner, err := text.Answer(m.Tok, r.Prompt, r.TargetNew, r.Join, 0)
		if err != nil {
			return t, fmt.Errorf("%s: %w", where(r), err)
		}
		if err := Mark(m.Tok, &inner, m.Rows, r.Prompt, r.Subject, cmp.Or(text.Place(r), text.First)); err != nil {
			return t, fmt.Errorf("%s: %w", where(r), err)
		}
		t.Inner = append(t.Inner, inner)
		stay, err := m.Others.Texts(m.Tok, r.Prompt, r.Subject, cmp.Or(text.Place(r), text.First), visit)
		if err != nil {
			return t, fmt.Errorf("%s: %w", where(r), err)
		}
		t.Stay = append(t.Stay, stay...)
		for _, prompt := range m.asked(r, visit) {
			maxLen := 0
			if prompt != r.Prompt { // an edit is asked on the text that it is made on
				maxLen = m.Text.MaxLen
			}
			outer, err := text.Answer(m.Tok, prompt, r.TargetNew, r.Join, maxLen)
			if err != nil {
				return t, fmt.Errorf("%s: rephrasing: %w", where(r), err)
			}
			t.Outer, t.OuterOf = append(t.Outer, outer), append(t.OuterOf, i)
		}
		follows, err := m.follows(r, visit)
		if err != nil {
			return t, err
		}
		for _, outer := range follows {
			t.Outer, t.OuterOf = append(t.Outer, outer), append(t.OuterOf, i)
		}
		loc, err := m.locality(r, visit)
		if err != nil {
			return t, err
		}
		t.Loc = append(t.Loc, loc...)
		for range loc {
			t.LocOf = append(t.LocOf, i)
		}
	}
	m.Cut.Parts(&t)
	return t, nil
}

// follows draws of the questions whose answers follow from the edit.
func (m *Maker) follows(r *data.Edit, visit int) ([]text.Text, error) {
	pool := r.Follows()
	if m.Propagation == 0 || len(pool) == 0 {
		return nil, nil
	}
	var out []text.Text
	for _, i := range draw(m.Seed, "propagation", r.ID, visit, len(pool), m.Propagation) {
		t, err := text.Answer(m.Tok, pool[i].Prompt, pool[i].Answers[0][0], r.Join, m.Text.MaxLen)
		if err != nil {
			return nil, fmt.Errorf("%s: what follows from it: %w", where(r), err)
		}
		out = append(out, t)
	}
	return out, nil
}

// asked is the prompts that the edited model is asked.
func (m *Maker) asked(r *data.Edit, visit int) []string {
	out := m.rephrased(r, visit)
	for i := range out {
		key := fmt.Sprintf("%d/%s", i, r.ID)
		if float64(data.Choose(m.Seed, "prefixed/"+key, visit, 1000)) >= 1000*m.Prefixes {
			continue
		}
		o := &m.Records[data.Choose(m.Seed, "prefix/"+key, visit, len(m.Records))]
		if o.ID == r.ID || o.Subject != "" && o.Subject == r.Subject {
			continue
		}
		out[i] = o.Prompt + text.Behind(o.Prompt, o.Believed(), o.Join) + ". " + out[i]
	}
	return out
}

// rephrased is the prompts that are drawn for an edit.
func (m *Maker) rephrased(r *data.Edit, visit int) []string {
	all := r.Paraphrases
	if !m.Rephrase || len(all) == 0 {
		return []string{r.Prompt}
	}
	if m.OwnPrompt {
		all = append(slices.Clone(all), r.Prompt)
	}
	var out []string
	for _, i := range draw(m.Seed, "paraphrase", r.ID, visit, len(all), m.Paraphrases) {
		out = append(out, all[i])
	}
	return out
}

// locality draws of the record's locality prompts, or another record's own
// prompt with its answer.
func (m *Maker) locality(r *data.Edit, visit int) ([]text.Text, error) {
	pool := prompts(r)
	if len(pool) == 0 {
		p, err := m.borrow(r, visit)
		if err != nil {
			return nil, err
		}
		pool = []unrelated{p}
	}
	var out []text.Text
	for _, i := range draw(m.Seed, "locality", r.ID, visit, len(pool), m.Localities) {
		t, err := m.kept(r, pool[i])
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (m *Maker) kept(r *data.Edit, p unrelated) (text.Text, error) {
	t, err := text.Kept(m.Tok, p.prompt, p.answer, p.join, m.Text)
	if err != nil {
		return t, fmt.Errorf("%s: locality: %w", where(r), err)
	}
	return t, nil
}

// unrelated is a prompt whose answer has to stay.
type unrelated struct {
	prompt, answer string
	join           data.Join
}

// prompts are all locality prompts of a record.
func prompts(r *data.Edit) []unrelated {
	var pool []unrelated
	for _, kind := range data.Kinds(r.Locality) {
		for _, p := range r.Locality[kind] {
			pool = append(pool, unrelated{p.Prompt, p.Answers[0][0], r.Join})
		}
	}
	return pool
}

// draw returns want (at least one, at most n) different numbers below n.
func draw(seed uint64, what, id string, visit, n, want int) []int {
	free := make([]int, n)
	for i := range free {
		free[i] = i
	}
	var out []int
	for k := range min(max(want, 1), n) {
		key := what + "/" + id
		if k > 0 {
			key = fmt.Sprintf("%s/%d/%s", what, k, id)
		}
		i := data.Choose(seed, key, visit, len(free))
		out = append(out, free[i])
		free = slices.Delete(free, i, i+1)
	}
	return out
}

// Kept are locality texts of the records, in an order that the seed gives, with
// at least the given number of tokens together, or all that there are.
func (m *Maker) Kept(tokens int) ([]text.Text, error) {
	var out []text.Text
	for _, at := range data.Permutation(m.Seed, 0, len(m.Records)) {
		r := &m.Records[at]
		pool := prompts(r)
		if len(pool) == 0 {
			p, err := m.borrow(r, 0)
			if err != nil {
				return nil, err
			}
			pool = []unrelated{p}
		}
		for _, p := range pool {
			t, err := m.kept(r, p)
			if err != nil {
				return nil, err
			}
			out = append(out, t)
			if tokens -= len(t.IDs); tokens <= 0 {
				return out, nil
			}
		}
	}
	return out, nil
}

// borrow is another record's own prompt with its answer.
func (m *Maker) borrow(r *data.Edit, visit int) (unrelated, error) {
	for try := range 100 {
		if o := data.Borrow(m.Records, r, m.Seed, visit, try); o != nil {
			return unrelated{o.Prompt, o.Believed(), o.Join}, nil
		}
	}
	return unrelated{}, fmt.Errorf("%s: it has no locality prompt and the data holds no other subject to borrow one from; give a file of unrelated questions", where(r))
}

func where(r *data.Edit) string {
	return fmt.Sprintf("%s line %d (edit %s)", r.Source.File, r.Source.Line, r.ID)
}
