package meta

import (
	"fmt"
	"math"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// Others are subjects that an edit's own prompt is asked about: what the model
// answers them has to stay. The zero value has none.
type Others struct {
	Names []string
	Count int    // names that an edit is asked with
	Rows  string // which rows change weights, one of hypernet's choices
	Seed  uint64
}

// maxNames is how many names Names returns at most.
const maxNames = 512

// Names are subjects of edits, each once, in an order that the seed gives.
func Names(seed uint64, edits []data.Edit) []string {
	var out []string
	seen := map[string]bool{"": true}
	for _, at := range data.Permutation(seed, 0, len(edits)) {
		name := strings.TrimSpace(edits[at].Subject)
		if seen[name] {
			continue
		}
		seen[name] = true
		if out = append(out, name); len(out) == maxNames {
			break
		}
	}
	return out
}

// Texts are prompt with other subjects in its subject's place, up to the last row
// that has to stay; Rows says which have to. What is drawn depends on the seed,
// the prompt and the visit alone. A prompt without a subject has none.
func (o *Others) Texts(tok tokenizer.Tokenizer, prompt, subject string, which text.Occurrence, visit int) ([]text.Text, error) {
	if o.Count == 0 || strings.TrimSpace(subject) == "" {
		return nil, nil
	}
	lo, hi, err := text.Find(prompt, subject, which)
	if err != nil {
		return nil, fmt.Errorf("update.negatives is %d: %w", o.Count, err)
	}
	var out []text.Text
	for _, i := range draw(o.Seed, "negative", prompt, visit, len(o.Names), min(o.Count+1, len(o.Names))) {
		name := o.Names[i]
		if name == strings.TrimSpace(subject) || len(out) == o.Count {
			continue
		}
		t, err := o.about(tok, prompt[:lo]+name+prompt[hi:], name, text.At(lo))
		if err != nil {
			return nil, fmt.Errorf("update.negatives: %w", err)
		}
		out = append(out, t)
	}
	return out, nil
}

// about is the prompt as far as the rows that have to stay: of the rows of an
// answer the one that asks for it, of all rows those from the subject on, since
// the ones before it are the edit's own.
func (o *Others) about(tok tokenizer.Tokenizer, prompt, name string, which text.Occurrence) (text.Text, error) {
	ids := text.Prompt(tok, prompt)
	r := nn.Range{Lo: len(ids) - 1, Hi: len(ids)}
	if o.Rows != hypernet.AnswerRows {
		s, err := text.Subject(tok, prompt, name, which)
		if err != nil {
			return text.Text{}, err
		}
		switch o.Rows {
		case hypernet.SubjectRows:
			r = s
		case hypernet.SubjectLast:
			r = nn.Range{Lo: s.Hi - 1, Hi: s.Hi}
		default:
			r.Lo = s.Lo
		}
	}
	t := text.Text{IDs: ids[:r.Hi], Labels: make([]int32, r.Hi), Rows: r}
	for i := range t.Labels {
		t.Labels[i] = -1
	}
	return t, nil
}

// takeStay computes the inputs of the sites at the rows of the tasks' texts that
// have to stay, in the model as it is.
func (o *Objective) takeStay(tasks []Task) error {
	o.stay = nil
	var items []text.Item
	var texts text.Packed
	last := 0
	for _, t := range tasks {
		for _, x := range t.Stay {
			if err := o.model.CheckLength(len(x.IDs)); err != nil {
				return fmt.Errorf("edit %s: its prompt with another subject: %w; set update.negatives: 0", t.ID, err)
			}
			items = append(items, text.Item{Text: x})
			texts.Add(x)
		}
	}
	if texts.Rows() == 0 || o.Net.Config.Update.Rule != hypernet.Solve {
		return nil
	}
	d := o.model.Config.Width
	states := make([]float32, texts.Rows()*d)
	for i, s := range texts.Seq.Segs {
		items[i].States = states[s.Q*d : (s.Q+s.QLen)*d]
	}
	if err := o.Prefix.Run(items); err != nil {
		return err
	}
	for _, s := range o.sites {
		last = max(last, s.Block)
	}
	o.stay = make([]hypernet.Stay, len(o.sites))
	root := float32(math.Sqrt(o.Net.Config.Update.Weight))
	ops := o.outside()
	ops.OnLinear = func(l *nn.Linear, x, _ kernel.Matrix) {
		if i, ok := o.index[l]; ok {
			o.stay[i] = staying(tasks, x, root)
		}
	}
	lm.Blocks[kernel.Matrix](ops, o.model, kernel.Mat(states, texts.Rows(), d), o.Prefix.First, last+1, &texts.Seq, nil)
	ops.OnLinear = nil
	return ops.Err()
}

// staying picks, of the inputs x of a site, the rows of tasks that have to stay.
func staying(tasks []Task, x kernel.Matrix, root float32) hypernet.Stay {
	s := hypernet.Stay{U: kernel.Mat(nil, 0, x.Cols)}
	at := 0
	for _, t := range tasks {
		r := nn.Range{Lo: s.U.Rows}
		for _, one := range t.Stay {
			for i := at + one.Rows.Lo; i < at+one.Rows.Hi; i++ {
				for _, v := range x.Data[i*x.Stride : i*x.Stride+x.Cols] {
					s.U.Data = append(s.U.Data, root*v)
				}
				s.U.Rows++
			}
			at += len(one.IDs)
		}
		r.Hi = s.U.Rows
		s.Tasks = append(s.Tasks, r)
	}
	return s
}

// outside is what computes outside the graph, with nothing left over from its
// last use.
func (o *Objective) outside() *eager.Ops {
	if o.ops == nil {
		o.ops = eager.New(o.k)
	}
	o.ops.Reset()
	o.ops.SetTasks(nil)
	o.ops.Deltas, o.ops.OnLinear = nil, nil
	return o.ops
}
