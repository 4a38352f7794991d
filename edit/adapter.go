package edit

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// Route is which way an Adapter sends a text.
type Route struct {
	To   int      // what the numbers mean is the adapter's business
	Rows nn.Range // of the text, that are changed; where the adapter tells them apart
}

// Adapter is a Memory that stands behind linear layers and changes what they
// give, instead of changing their weights. The way is decided once, by the prompt,
// and held while the text goes on: scoring an answer and generating it agree.
type Adapter interface {
	Memory
	// Weights name the weights of the layers that it stands behind, in the order of
	// the forward pass. The way is decided at the first.
	Weights() []string
	// Route decides by a prompt's inputs x [tokens, in] and outputs y [tokens, out]
	// of the first layer.
	Route(x, y kernel.Matrix) Route
	// Adapt changes what the layer of a weight gives, y [rows, out], in place for the
	// rows of one text that begin at position from; prompt is the number of the
	// prompt's tokens.
	Adapt(weight string, r Route, x, y kernel.Matrix, from, prompt int)
}

// AdapterOf is the edit's adapter, or nil.
func (e *Edited) AdapterOf() Adapter {
	if e == nil {
		return nil
	}
	a, _ := e.Memory.(Adapter)
	return a
}

// Span is the rows of one text in a pass, and how many of them are its prompt.
type Span struct {
	nn.Range
	Prompt int
}

// Beside makes one adapter of several, which stand behind their layers together:
// those of one layer one behind the other, in their order. It is for computing
// with, not for files. Of none it is nil.
func Beside(list ...Adapter) Adapter {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return beside{list[0], list}
}

// beside is adapters of which each is asked by itself; alone, it is the first.
type beside struct {
	Adapter
	all []Adapter
}

// Pack implements Memory.
func (b beside) Pack() (Packed, error) {
	return Packed{}, fmt.Errorf("edit: %d memories beside each other are no memory to be kept", len(b.all))
}

// parts are the adapters that a is made of, or a alone.
func parts(a Adapter) []Adapter {
	if b, ok := a.(beside); ok {
		return b.all
	}
	return []Adapter{a}
}

// Intercept makes a's layers give what a makes of it in a pass over whole texts.
// The returned function takes a away again.
func Intercept(o *eager.Ops, a Adapter, spans []Span) (undo func()) {
	before := o.OnLinear
	if all := parts(a); len(all) > 1 {
		for _, one := range all {
			Intercept(o, one, spans)
		}
		return func() { o.OnLinear = before }
	}
	weights, ways := a.Weights(), make([]Route, len(spans))
	o.OnLinear = func(l *nn.Linear, x, y kernel.Matrix) {
		if before != nil {
			before(l, x, y)
		}
		at := slices.Index(weights, l.W.Name)
		if at < 0 {
			return
		}
		for i, s := range spans {
			if at == 0 {
				prompt := nn.Range{Lo: s.Lo, Hi: s.Lo + s.Prompt}
				ways[i] = a.Route(prompt.Of(x), prompt.Of(y))
			}
			a.Adapt(l.W.Name, ways[i], s.Range.Of(x), s.Range.Of(y), 0, s.Prompt)
		}
	}
	return func() { o.OnLinear = before }
}

// InterceptText is Intercept for a text that is continued: the first pass is its
// prompt, each further one what follows.
func InterceptText(o *eager.Ops, a Adapter) (undo func()) {
	before := o.OnLinear
	if all := parts(a); len(all) > 1 {
		for _, one := range all {
			InterceptText(o, one)
		}
		return func() { o.OnLinear = before }
	}
	weights := a.Weights()
	from, prompt := make([]int, len(weights)), 0
	var way Route
	o.OnLinear = func(l *nn.Linear, x, y kernel.Matrix) {
		if before != nil {
			before(l, x, y)
		}
		at := slices.Index(weights, l.W.Name)
		if at < 0 {
			return
		}
		if at == 0 && from[0] == 0 {
			prompt, way = x.Rows, a.Route(x, y)
		}
		a.Adapt(l.W.Name, way, x, y, from[at], prompt)
		from[at] += x.Rows
	}
	return func() { o.OnLinear = before }
}
