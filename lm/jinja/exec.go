package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// machine is one render: what it may still do.
type machine struct {
	left  int // steps
	depth int
}

func (m *machine) step(n int) error {
	if m.left -= n; m.left < 0 {
		return fmt.Errorf("%w: more than %d steps", ErrBound, mostSteps)
	}
	return nil
}

// enter counts what is inside each other while it runs; leave undoes it.
func (m *machine) enter() error {
	if m.depth++; m.depth > mostCalls {
		return fmt.Errorf("%w: more than %d calls inside each other", ErrBound, mostCalls)
	}
	return m.step(1)
}

func (m *machine) leave() { m.depth-- }

// text allows a text of n bytes.
func (m *machine) text(n int) error {
	if n > mostText || n < 0 {
		return fmt.Errorf("%w: a text of more than %d bytes", ErrBound, mostText)
	}
	return m.step(n/64 + 1)
}

// list allows a list that was made.
func (m *machine) list(v []any) ([]any, error) {
	if len(v) > mostItems {
		return nil, fmt.Errorf("%w: a list of more than %d elements", ErrBound, mostItems)
	}
	return v, m.step(len(v)/8 + 1)
}

// text is a bounded output.
type text struct{ strings.Builder }

func (t *text) add(m *machine, s string) error {
	if t.Len()+len(s) > mostText {
		return fmt.Errorf("%w: it writes more than %d bytes", ErrBound, mostText)
	}
	t.WriteString(s)
	return m.step(len(s) / 64)
}

// scope holds names; those that it lacks are its parent's.
type scope struct {
	names  map[string]any
	parent *scope
}

func (s *scope) inner() *scope { return &scope{map[string]any{}, s} }

// find also tells how many scopes it looked through.
func (s *scope) find(name string) (v any, hops int, ok bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.names[name]; ok {
			return v, hops, true
		}
		hops++
	}
	return nil, hops, false
}

// What leaves a loop's body.
var errBreak, errContinue = errors.New("break"), errors.New("continue")

// run executes statements; names that they set are those of s.
func (m *machine) run(body []statement, s *scope, out *text) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.leave()
	for _, st := range body {
		if err := m.statement(st, s, out); err != nil {
			return err
		}
	}
	return nil
}

// at says in which line an error came to be, once.
func at(line int, err error) error {
	if err == nil || errors.Is(err, errBreak) || errors.Is(err, errContinue) || errors.As(err, new(*placed)) {
		return err
	}
	return &placed{line, err}
}

type placed struct {
	line int
	err  error
}

func (p *placed) Error() string { return fmt.Sprintf("line %d: %v", p.line, p.err) }
func (p *placed) Unwrap() error { return p.err }

func (m *machine) statement(st statement, s *scope, out *text) error {
	if err := m.step(1); err != nil {
		return err
	}
	switch st := st.(type) {
	case *textStatement:
		return out.add(m, st.text)
	case *output:
		v, err := m.eval(st.value, s)
		if err != nil {
			return at(st.line, err)
		}
		return at(st.line, m.write(out, v, false))
	case *conditional:
		for i, test := range st.tests {
			v, err := m.eval(test, s)
			if err != nil {
				return err
			}
			if truth(v) {
				return m.run(st.bodies[i], s, out)
			}
		}
		if len(st.bodies) > len(st.tests) {
			return m.run(st.bodies[len(st.tests)], s, out)
		}
		return nil
	case *loop:
		v, err := m.eval(st.over, s)
		if err != nil {
			return at(st.line, err)
		}
		return at(st.line, m.loop(st, v, s, out, 1))
	case *assignment:
		return at(st.line, m.assign(st, s))
	case *definition:
		s.names[st.macro.name] = &macro{st.macro, s}
		return nil
	case *caller:
		v, err := m.callWith(st.value.(*call), s, &macro{st.macro, s})
		if err != nil {
			return at(st.line, err)
		}
		return at(st.line, m.write(out, v, false))
	case *filtered:
		v, err := m.taken(st.body, s)
		if err == nil {
			v, err = m.chain(st.filters, v, s)
		}
		if err != nil {
			return at(st.line, err)
		}
		return m.write(out, v, false)
	case *with:
		inner := s.inner()
		for i, n := range st.names {
			v, err := m.eval(st.values[i], s)
			if err != nil {
				return err
			}
			inner.names[n] = v
		}
		return m.run(st.body, inner, out)
	case *evaluation:
		_, err := m.eval(st.value, s)
		return err
	case *scopeless:
		return m.run(st.body, s, out)
	case *jump:
		if st.on {
			return errContinue
		}
		return errBreak
	}
	return fmt.Errorf("unknown statement %T", st)
}

// taken runs a body in a scope of its own and returns what it writes.
func (m *machine) taken(body []statement, s *scope) (any, error) {
	var out text
	err := m.run(body, s.inner(), &out)
	return out.String(), err
}

// chain applies filters one after another.
func (m *machine) chain(filters []call, v any, s *scope) (any, error) {
	for i := range filters {
		c := filters[i]
		c.x = &constant{v}
		var err error
		if v, err = m.eval(&filter{c}, s); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (m *machine) assign(a *assignment, s *scope) error {
	var v any
	var err error
	if a.block {
		if v, err = m.taken(a.body, s); err == nil {
			v, err = m.chain(a.filters, v, s)
		}
	} else {
		v, err = m.eval(a.value, s)
	}
	if err != nil {
		return err
	}
	values := []any{v}
	if len(a.targets) > 1 {
		if values, err = m.items(v); err != nil {
			return err
		}
		if len(values) != len(a.targets) {
			return fmt.Errorf("%d values for %d names", len(values), len(a.targets))
		}
	}
	for i, t := range a.targets {
		if t.attribute == "" {
			s.names[t.name] = values[i]
			continue
		}
		v, _, _ := s.find(t.name)
		ns, ok := v.(namespace)
		if !ok {
			return fmt.Errorf("cannot assign attribute on non-namespace object %q", t.name)
		}
		ns.set(t.attribute, values[i])
	}
	return nil
}

// loop runs a loop's body for each element.
func (m *machine) loop(l *loop, over any, s *scope, out *text, depth int) error {
	all, err := m.items(over)
	if err != nil {
		return err
	}
	items := all
	if l.test != nil {
		items = nil
		for _, v := range all {
			inner := s.inner()
			if err := m.bind(l.targets, v, inner); err != nil {
				return err
			}
			ok, err := m.eval(l.test, inner)
			if err != nil {
				return err
			}
			if truth(ok) {
				items = append(items, v)
			}
		}
	}
	if len(items) == 0 {
		return m.run(l.none, s, out)
	}
	state := &loopState{items: items, depth: depth}
	if l.recursive {
		state.again = func(v any) (any, error) {
			var inside text
			err := m.loop(l, v, s, &inside, depth+1)
			return inside.String(), err
		}
	}
	for i, v := range items {
		if err := m.step(1); err != nil {
			return err
		}
		state.at = i
		inner := s.inner()
		inner.names["loop"] = state
		if err := m.bind(l.targets, v, inner); err != nil {
			return err
		}
		if err := m.run(l.body, inner, out); errors.Is(err, errBreak) {
			return nil
		} else if err != nil && !errors.Is(err, errContinue) {
			return err
		}
	}
	return nil
}

func (m *machine) bind(names []string, v any, s *scope) error {
	if len(names) == 1 {
		s.names[names[0]] = v
		return nil
	}
	items, err := m.items(v)
	if err != nil {
		return err
	}
	if len(items) != len(names) {
		return fmt.Errorf("%d values for %d names", len(items), len(names))
	}
	for i, n := range names {
		s.names[n] = items[i]
	}
	return nil
}

// loopState is the name loop inside a loop.
type loopState struct {
	items     []any
	at, depth int
	again     func(any) (any, error)
	last      []any // of changed()
	seen      bool
}

func (l *loopState) attribute(name string) (any, bool) {
	n := len(l.items)
	switch name {
	case "index":
		return l.at + 1, true
	case "index0":
		return l.at, true
	case "revindex":
		return n - l.at, true
	case "revindex0":
		return n - l.at - 1, true
	case "first":
		return l.at == 0, true
	case "last":
		return l.at == n-1, true
	case "length":
		return n, true
	case "depth":
		return l.depth, true
	case "depth0":
		return l.depth - 1, true
	case "previtem":
		if l.at > 0 {
			return l.items[l.at-1], true
		}
		return undefined{"there is no previous item"}, true
	case "nextitem":
		if l.at+1 < n {
			return l.items[l.at+1], true
		}
		return undefined{"there is no next item"}, true
	case "cycle":
		return builtin(func(_ *machine, a *arguments) (any, error) {
			if len(a.args) == 0 {
				return nil, errors.New("no items for cycling given")
			}
			return a.args[l.at%len(a.args)], nil
		}), true
	case "changed":
		return builtin(func(m *machine, a *arguments) (any, error) {
			same, err := m.same(l.last, a.args, l.seen)
			l.last, l.seen = a.args, true
			return !same, err
		}), true
	}
	return nil, false
}
