package workbench

import (
	"context"
	"io"
	"slices"

	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/edit/kept"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
)

// Query is a text to be continued.
type Query struct {
	Prompt string
	Chat   bool               // it is put into the model's chat template
	How    lm.GenerateOptions // OnToken is the bench's

	Edits []string // files of the edits that the model shall have, in order

	Store  string   // of in-context edits, one of which may stand in front; "": none
	Editor string   // that makes its contexts
	Set    []string // overrides of its config
}

// Generated is what a model says.
type Generated struct {
	Text   string // without the prompt
	Tokens []int32
	Use    ike.Use // of the store's edit in front of the prompt, if one was near enough
}

// Generate continues a text. The edits of the query stay in the bench's model. notes
// takes what is taken for granted of them.
func (b *Bench) Generate(ctx context.Context, q Query, notes io.Writer) (*Generated, error) {
	out := &Generated{}
	front := ""
	var err error
	if q.Store != "" {
		if front, out.Use, err = b.recall(ctx, q); err != nil {
			return nil, err
		}
	}
	asked := q.Prompt
	if q.Chat {
		template, err := b.Model.Chat()
		if err != nil {
			return nil, err
		}
		if asked, err = template.Ask(asked); err != nil {
			return nil, err
		}
	}
	by, ids := b.Model, b.Model.Tokenizer.EncodePrompt(front+asked)
	ops := eager.New(b.Engine)
	responder, err := b.intercept(ctx, ops, q.Edits, notes)
	if err != nil {
		return nil, err
	}
	if responder != nil {
		a, err := responder.Respond(q.Prompt, "")
		if err != nil {
			return nil, err
		}
		if a.Model != nil {
			by, ids = a.Model, b.Model.Tokenizer.EncodePrompt(a.Context+asked)
		}
	}
	q.How.OnToken = func(int32) bool { return ctx.Err() == nil }
	if out.Tokens, err = by.Generate(ops, ids, q.How); err != nil {
		return nil, err
	}
	out.Text = b.Model.Continuation(ids, out.Tokens)
	return out, context.Cause(ctx)
}

// recall asks an in-context editor for the context of a prompt, from the edits of a
// store.
func (b *Bench) recall(ctx context.Context, q Query) (front string, use ike.Use, err error) {
	s, err := kept.OpenStore(q.Store)
	if err != nil {
		return "", use, err
	}
	requests := s.Requests()
	if len(requests) == 0 {
		return "", use, nil
	}
	if err := b.Use(ctx, q.Editor, append(slices.Clone(q.Set), "memory="+ike.StoreMemory)); err != nil {
		return "", use, err
	}
	inContext := b.Editor.(*ike.Editor)
	inContext.OnContext = func(u ike.Use) { use = u }
	e, err := inContext.Apply(ctx, b.Model, requests)
	if err != nil {
		return "", use, err
	}
	front, err = e.Context(q.Prompt)
	return front, use, err
}
