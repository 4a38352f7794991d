package jinja

import (
	"errors"
	"fmt"
)

// Bounds of what a template may be and do.
const (
	largest   = 1 << 18 // bytes of a template
	mostSteps = 1 << 18 // nodes visited, and 64 bytes made, each count one
	mostText  = 1 << 20 // bytes of one text
	mostItems = 1 << 16 // elements of one list
	deepest   = 200     // constructs inside each other, as written
	mostCalls = 4000    // of them while rendering, macros counted as often as they run
)

// ErrBound is what a template gets that computes too much.
var ErrBound = errors.New("it computes too much")

// Template is a parsed template. It is safe for concurrent use.
type Template struct{ body []statement }

// Function is a function that a template may call, by its arguments in order.
type Function func(args []any) (any, error)

// Parse reads a template.
func Parse(source string) (*Template, error) {
	if len(source) > largest {
		return nil, fmt.Errorf("%d bytes, more than %d", len(source), largest)
	}
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	body, err := p.statements()
	if err != nil {
		return nil, err
	}
	return &Template{body}, nil
}

// Render runs a template. Values are nil, bool, int, float64, string, []any,
// map[string]any, *Dict, and Function.
func (t *Template) Render(values map[string]any) (string, error) {
	m := &machine{left: mostSteps}
	s := &scope{names: map[string]any{}}
	for name, v := range values {
		s.names[name] = from(v)
	}
	for name, f := range functions {
		if _, ok := s.names[name]; !ok {
			s.names[name] = f
		}
	}
	var out text
	if err := m.run(t.body, s, &out); err != nil {
		return "", err
	}
	return out.String(), nil
}

// lineError is an error at a line of the template.
func lineError(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: %w", line, fmt.Errorf(format, args...))
}
