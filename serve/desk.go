package serve

import (
	"context"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/chat"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/workbench"
)

// desk is the base model with the edits that are on. It belongs to the worker.
//
// Editors make every edit from the base model, so that an edit does not depend on
// which others are on, and switching, reordering and undoing are exact: the model
// is the base with all that is on, composed as keyhole edits apply does it.
type desk struct {
	bench  *workbench.Bench
	hash   string // of the base model
	offers []*offer
	chat   *chat.Template // nil: the model has none

	on   *edit.Edited // what is on, as one edit
	in   *edit.Edited // whose changes are in the model; nil: it is the base
	undo func()       // takes them out
	now  *job         // that is worked on; nil: none
}

func newDesk(b *workbench.Bench) (*desk, error) {
	hash, err := b.Model.Hash()
	if err != nil {
		return nil, err
	}
	d := &desk{bench: b, hash: hash, on: &edit.Edited{}}
	if t, err := b.Model.Chat(); err == nil {
		d.chat = t
	}
	return d, nil
}

// base makes the model the base model.
func (d *desk) base() {
	if d.undo != nil {
		d.undo()
		d.undo, d.in = nil, nil
	}
}

// be makes the model the base with an edit's changes; nil: the base alone.
func (d *desk) be(e *edit.Edited) error {
	if d.in == e {
		return nil
	}
	d.base()
	if e == nil || len(e.Changes) == 0 {
		return nil
	}
	undo, err := e.Install(d.bench.Model, d.bench.Engine)
	if err != nil {
		return err
	}
	d.undo, d.in = undo, e
	return nil
}

// with makes the model the one that is asked for, and gives what stands beside its
// weights; nil: the base model.
func (d *desk) with(edits bool) (*edit.Edited, error) {
	if !edits {
		d.base()
		return nil, nil
	}
	return d.on, d.be(d.on)
}

// put makes e what is on.
func (d *desk) put(e *edit.Edited) error {
	d.base()
	err := d.be(e)
	if err == nil {
		d.on = e
	}
	return err
}

// join makes one edit of those of a list, in its order: their weights are composed,
// their memories stand beside each other, their contexts in front of each other.
func (d *desk) join(ctx context.Context, list []*kept) (*edit.Edited, error) {
	out := &edit.Edited{}
	var weights []*edit.Kept
	var adapters []edit.Adapter
	facts := map[string][]edit.Request{} // of editors of contexts
	var order []string
	for _, k := range list {
		switch {
		case k.edited == nil:
			if len(facts[k.Editor]) == 0 {
				order = append(order, k.Editor)
			}
			facts[k.Editor] = append(facts[k.Editor], k.Request.request(k.ID))
			continue
		case k.edited.AdapterOf() != nil:
			adapters = append(adapters, k.edited.AdapterOf())
		}
		if len(k.edited.Changes) > 0 {
			weights = append(weights, &edit.Kept{Path: "edit " + k.ID, Model: d.hash, Edited: k.edited})
		}
	}
	if len(weights) > 0 {
		whole, err := edit.Compose(weights...)
		if err != nil {
			return nil, refused("%v", err)
		}
		out.Changes = whole.Changes
	}
	if a := edit.Beside(adapters...); a != nil {
		out.Memory = a
	}
	var contexts []func(string) (string, error)
	for _, name := range order {
		if _, err := d.use(ctx, name, nil); err != nil {
			return nil, err
		}
		e, err := d.bench.Editor.Apply(ctx, d.bench.Model, facts[name])
		if err != nil {
			return nil, err
		}
		contexts = append(contexts, e.Context)
	}
	if len(contexts) > 0 {
		out.Context = func(query string) (string, error) {
			var b strings.Builder
			for _, c := range contexts {
				t, err := c(query)
				if err != nil {
					return "", err
				}
				b.WriteString(t)
			}
			return b.String(), nil
		}
	}
	return out, nil
}

// front is what the edits put in front of a prompt.
func front(e *edit.Edited, prompt string) (string, error) {
	if e == nil || e.Context == nil {
		return "", nil
	}
	return e.Context(prompt)
}

// asked is the tokens of a prompt: in the chat template if chatting is set, behind
// what the edits put in front of it.
func (d *desk) asked(prompt string, chatting bool, e *edit.Edited) ([]int32, error) {
	if chatting {
		return d.chatted([]chat.Message{{Role: "user", Content: prompt}}, "chat", e)
	}
	before, err := front(e, prompt)
	if err != nil {
		return nil, err
	}
	return d.tokens(before + prompt)
}

// chatted is the tokens of a conversation, of which the last message asks. field is
// that of the request.
func (d *desk) chatted(messages []chat.Message, field string, e *edit.Edited) ([]int32, error) {
	if d.chat == nil {
		return nil, wrong(field, "the model %s has no chat template; ask it by /v1/completions, or without chat", d.bench.Base)
	}
	before, err := front(e, messages[len(messages)-1].Content)
	if err != nil {
		return nil, err
	}
	whole, err := d.chat.Render(messages, true)
	if err != nil {
		return nil, wrong(field, "%v", err)
	}
	return d.tokens(before + whole)
}

// tokens are those of a text that the model has room behind.
func (d *desk) tokens(prompt string) ([]int32, error) {
	ids := d.bench.Model.Tokenizer.EncodePrompt(prompt)
	switch limit := d.bench.Model.Limit(); {
	case len(ids) == 0:
		return nil, wrong("prompt", "the prompt is empty")
	case len(ids) > min(limit, maxTokens):
		return nil, wrong("prompt", "the prompt has %d tokens, and %d are possible here", len(ids), min(limit, maxTokens))
	}
	return ids, nil
}

// maxTokens bounds a prompt, and a text that is made, in tokens.
const maxTokens = 4096

// ops computes with the model as it is and what stands beside its weights.
func (d *desk) ops(e *edit.Edited) *eager.Ops {
	o := eager.New(d.bench.Engine)
	if a := e.AdapterOf(); a != nil {
		edit.InterceptText(o, a)
	}
	return o
}

// logits are those behind a text, [vocab].
func (d *desk) logits(ids []int32, e *edit.Edited) ([]float32, error) {
	o := d.ops(e)
	m := d.bench.Model
	last := &nn.RowSet{V: []int32{int32(len(ids) - 1)}}
	laid, seq := text.Lay(ids)
	var x kernel.Matrix
	if o.OnLinear == nil {
		x = lm.Forward[kernel.Matrix](o, m, laid, seq, last)
	} else { // what stands behind a layer sees every row
		x = o.Rows(lm.Forward[kernel.Matrix](o, m, laid, seq, nil), last)
	}
	y := m.Logits(o, x)
	return y.Data[:m.Config.Vocab], o.Err()
}

// writing is a text that is being made.
type writing struct {
	Sampler lm.Sampler
	Tokens  int
	Stop    []string
	Piece   func(text string) // is given each piece as soon as it is certain; may be nil
}

// written is a text that was made.
type written struct {
	Text         string
	Prompt, Made int    // tokens
	Reason       string // stop or length
}

// write continues a prompt.
func (d *desk) write(ctx context.Context, ids []int32, e *edit.Edited, w writing) (*written, error) {
	m := d.bench.Model
	s := &stream{m: m, prompt: ids, stops: w.Stop, piece: w.Piece}
	out, err := m.Generate(d.ops(e), ids, lm.GenerateOptions{
		Tokens: w.Tokens, Sampler: w.Sampler, StopAtEOS: true,
		OnToken: func(id int32) bool { return ctx.Err() == nil && s.add(id) },
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	r := &written{Text: s.end(), Prompt: len(ids), Made: len(out), Reason: "stop"}
	if !s.stopped && (len(out) >= w.Tokens || len(ids)+len(out) > m.Limit()) {
		r.Reason = "length"
	}
	return r, nil
}

// firstWord is the first word of an answer, without the punctuation behind it.
func firstWord(answer string) string {
	for _, word := range strings.Fields(answer) {
		return strings.TrimRight(word, ".,;:!?")
	}
	return ""
}
