package serac

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
)

// pair is a text and an edit, by their places among the texts of a step, of
// which the classifier says how alike they are.
type pair struct {
	text, edit int
	in         bool    // the text is in the edit's scope
	weight     float32 // in the loss
}

// layout is the texts of a step.
type layout struct {
	tasks []span
	texts []string // that the classifier sees
	pairs []pair

	asked  []text.Text // of the counterfactual model, with an edit in front
	plain  []text.Text // the same, of the base model, without
	gate   []int       // of each asked text: the pair that says whether it is in scope
	labels graph.Labels
	kept   []bool // of each row: it has to stay as the base model has it; else its label is wanted
}

// span is a task's part of a layout.
type span struct{ pairs, asked, rows nn.Range }

// said is a text of a task in words.
type said struct {
	prompt string
	answer []int32
	of     int // edit
}

// whole is the text with its answer.
func (l *Learner) whole(s said) string {
	tok := l.Base.Tokenizer
	return tok.DecodeSkip(append(text.Prompt(tok, s.prompt), s.answer...))
}

// say reads a text's prompt and answer from its tokens.
func (l *Learner) say(t text.Text, of int) (said, error) {
	first := t.Prompt() - 1
	if first < 0 || first >= len(t.IDs) {
		return said{}, fmt.Errorf("a text asks for no token; check that the target does not tokenise to nothing")
	}
	return said{l.Base.Tokenizer.DecodeSkip(t.IDs[:first+1]), t.Labels[first:], of}, nil
}

// cacheText is how the classifier sees an edit.
func (l *Learner) cacheText(prompt, answered string) string {
	if !l.Reference {
		return prompt
	}
	return withoutLastWord(answered) + l.separator()
}

// queryText is how the classifier sees a text that is asked about.
func (l *Learner) queryText(prompt, answered string) string {
	if l.Reference {
		return answered
	}
	return prompt
}

// separator stands behind an edit, in the reference.
func (l *Learner) separator() string {
	tok := l.Encoder.Tokenizer()
	if _, ok := tok.ID("[SEP]"); ok {
		return "[SEP]"
	}
	if id, ok := tok.EOS(); ok {
		s, _ := tok.Token(id)
		return s
	}
	return ""
}

// withoutLastWord cuts a text at its last blank.
func withoutLastWord(s string) string {
	if i := strings.LastIndexFunc(strings.TrimRightFunc(s, unicode.IsSpace), unicode.IsSpace); i >= 0 {
		return s[:i]
	}
	return ""
}

// front is what stands in front of a query in an edit's scope.
func (l *Learner) front(answered string) string {
	return strings.ReplaceAll(l.cfg.Context, editMark, answered)
}

// lay lays out tasks for a step.
func (l *Learner) lay(tasks []meta.Task) error {
	l.step = layout{}
	for _, t := range tasks {
		if err := l.layTask(t); err != nil {
			return fmt.Errorf("edit %s: %w", t.ID, err)
		}
	}
	return nil
}

func (l *Learner) sayAll(texts []text.Text, of []int) ([]said, error) {
	out := make([]said, len(texts))
	for i, t := range texts {
		edit := i
		if of != nil {
			edit = of[i]
		}
		var err error
		if out[i], err = l.say(t, edit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (l *Learner) layTask(t meta.Task) error {
	s := &l.step
	edits, err := l.sayAll(t.Inner, nil)
	if err != nil {
		return err
	}
	outer, err := l.sayAll(t.Outer, t.OuterOf)
	if err != nil {
		return err
	}
	loc, err := l.sayAll(t.Loc, t.LocOf)
	if err != nil {
		return err
	}
	if l.Reference && !l.cfg.Supervised {
		outer = edits
	}
	var at span
	at.pairs.Lo, at.asked.Lo, at.rows.Lo = len(s.pairs), len(s.asked), len(s.labels.IDs)
	first := len(s.texts)
	answered := make([]string, len(edits))
	for i, e := range edits {
		answered[i] = l.whole(e)
		s.texts = append(s.texts, l.cacheText(e.prompt, answered[i]))
	}
	firstOuter := len(s.texts)
	for _, x := range slices.Concat(outer, loc) {
		s.texts = append(s.texts, l.queryText(x.prompt, l.whole(x)))
	}
	firstLoc := firstOuter + len(outer)
	if l.cfg.Supervised {
		l.layPairs(first, firstOuter, firstLoc, len(edits), outer, loc, l.layBeginnings(slices.Concat(outer, loc)))
		for _, x := range outer {
			if err := l.ask(x, l.front(answered[x.of]), -1, false); err != nil {
				return err
			}
		}
	} else if err := l.layPicked(first, firstOuter, answered, slices.Concat(outer, loc), len(outer)); err != nil {
		return err
	}
	at.pairs.Hi, at.asked.Hi, at.rows.Hi = len(s.pairs), len(s.asked), len(s.labels.IDs)
	s.tasks = append(s.tasks, at)
	l.weigh(at)
	return nil
}

// layBeginnings adds how texts begin, each cut within its first half, and returns
// the pairs with their edits. Where they are cut depends on the texts alone.
func (l *Learner) layBeginnings(texts []said) []begun {
	if !l.cfg.Beginnings || l.Reference {
		return nil
	}
	s := &l.step
	var key strings.Builder
	for _, x := range texts {
		key.WriteString(x.prompt + "\n")
	}
	tok := l.Base.Tokenizer
	var out []begun
	for i, x := range texts {
		ids := text.Prompt(tok, x.prompt)
		half := len(ids) / 2
		if half == 0 {
			continue
		}
		n := 1 + data.Choose(0, "beginning/"+key.String(), i, half)
		if cut := tok.DecodeSkip(ids[:n]); strings.TrimSpace(cut) != "" {
			out = append(out, begun{len(s.texts), x.of})
			s.texts = append(s.texts, cut)
		}
	}
	return out
}

// begun is a beginning, by its place among the texts, with the edit that it is told
// apart from, counted within the task.
type begun struct{ text, of int }

// layPairs lists the pairs that the classifier learns from.
func (l *Learner) layPairs(edits, outer, loc, n int, outers, locs []said, beginnings []begun) {
	s := &l.step
	begin := len(s.pairs)
	for i, x := range outers {
		s.pairs = append(s.pairs, pair{text: outer + i, edit: edits + x.of, in: true})
	}
	for i, x := range locs {
		for j := range n {
			if j == x.of || l.cfg.Negatives == "all" {
				s.pairs = append(s.pairs, pair{text: loc + i, edit: edits + j})
			}
		}
	}
	for i, x := range outers {
		for j := range n {
			if j != x.of && l.cfg.Negatives == "all" {
				s.pairs = append(s.pairs, pair{text: outer + i, edit: edits + j})
			}
		}
	}
	for _, b := range beginnings {
		s.pairs = append(s.pairs, pair{text: b.text, edit: edits + b.of})
	}
	in := 0
	for _, p := range s.pairs[begin:] {
		if p.in {
			in++
		}
	}
	out := len(s.pairs) - begin - in
	for i := range s.pairs[begin:] {
		p := &s.pairs[begin+i]
		p.weight = float32(l.CLoc) / float32(max(out, 1))
		if p.in {
			p.weight = float32(l.CLoc) / float32(max(in, 1))
		}
	}
}

// layPicked asks each text with the nearest edit in front, as the classifier has
// it now.
func (l *Learner) layPicked(edits, first int, answered []string, texts []said, outers int) error {
	s := &l.step
	v, err := l.vectors(s.texts[edits:])
	if err != nil {
		return err
	}
	for i, x := range texts {
		best, _ := l.nearest(v[first-edits+i], v[:len(answered)])
		s.pairs = append(s.pairs, pair{text: first + i, edit: edits + best, in: i < outers})
		if err := l.ask(x, l.front(answered[best]), len(s.pairs)-1, i >= outers); err != nil {
			return err
		}
	}
	return nil
}

// nearest is the edit that a vector is most like, and s.
func (l *Learner) nearest(v []float32, edits [][]float32) (best int, s float64) {
	for j, e := range edits {
		x := l.measure.log(v, e)
		if j == 0 || x > s || x == s && !l.Reference { // of equally near ones the latest, in the reference the first
			best, s = j, x
		}
	}
	return best, s
}

// ask adds a text to those that the models are asked.
func (l *Learner) ask(x said, front string, gate int, kept bool) error {
	s := &l.step
	tok := l.Base.Tokenizer
	behind := 0 // the row whose distribution counts, behind the one that predicts the token
	if l.Reference && kept {
		behind = 1
	}
	put := func(m *lm.Model, prompt string) (text.Text, error) {
		p := text.Prompt(tok, prompt)
		if err := text.Fits(m, len(p), len(x.answer)+behind); err != nil {
			return text.Text{}, err
		}
		q := text.Text{IDs: slices.Concat(p, x.answer[:len(x.answer)-1+behind])}
		q.Labels = append(slices.Repeat([]int32{-1}, len(q.IDs)-len(x.answer)), x.answer...)
		return q, nil
	}
	asked, err := put(l.Counterfactual, front+x.prompt)
	if err != nil {
		return fmt.Errorf("with the edit in front: %w", err)
	}
	plain, err := put(l.Base, x.prompt)
	if err != nil {
		return err
	}
	s.asked, s.plain, s.gate = append(s.asked, asked), append(s.plain, plain), append(s.gate, gate)
	s.labels.IDs = append(s.labels.IDs, x.answer...)
	for range x.answer {
		s.kept = append(s.kept, kept)
	}
	return nil
}

// weigh gives a task's rows their weights in the loss: the mean over its edits'
// tokens, and over those that have to stay.
func (l *Learner) weigh(at span) {
	s := &l.step
	kept := 0
	for _, k := range s.kept[at.rows.Lo:at.rows.Hi] {
		if k {
			kept++
		}
	}
	wanted := at.rows.Hi - at.rows.Lo - kept
	for _, k := range s.kept[at.rows.Lo:at.rows.Hi] {
		w := float32(l.CEdit) / float32(max(wanted, 1))
		if k {
			w = float32(l.CLoc) / float32(max(kept, 1))
		}
		s.labels.Weight = append(s.labels.Weight, w)
	}
}
