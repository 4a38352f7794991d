package jinja

import "fmt"

// builtin is a function that templates call.
type builtin func(m *machine, a *arguments) (any, error)

// macro is a macro with the scope that it was defined in.
type macro struct {
	node  *macroNode
	scope *scope
}

// arguments are those of a call.
type arguments struct {
	args  []any
	named map[string]any
}

// take returns argument i, or that of a name, or otherwise.
func (a *arguments) take(i int, name string, otherwise any) any {
	if i < len(a.args) {
		return a.args[i]
	}
	if v, ok := a.named[name]; ok {
		return v
	}
	return otherwise
}

func (m *machine) eval(x expression, s *scope) (any, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.leave()
	switch x := x.(type) {
	case *constant:
		return x.value, nil
	case *variable:
		v, hops, ok := s.find(x.name)
		if err := m.step(hops / 8); err != nil || ok {
			return v, err
		}
		return undefined{fmt.Sprintf("'%s' is undefined", x.name)}, nil
	case *listOf:
		items, err := m.all(x.items, s)
		if x.tuple && err == nil {
			return tuple(items), nil
		}
		return items, err
	case *dictOf:
		d := NewDict()
		for i := range x.keys {
			k, err := m.eval(x.keys[i], s)
			if err != nil {
				return nil, err
			}
			if !hashable(k) {
				return nil, fmt.Errorf("unhashable type: '%s'", kindOf(k))
			}
			v, err := m.eval(x.values[i], s)
			if err != nil {
				return nil, err
			}
			d.set(k, v)
		}
		return d, nil
	case *unary:
		v, err := m.eval(x.x, s)
		if err != nil {
			return nil, err
		}
		return negate(x.op, v)
	case *binary:
		return m.binary(x, s)
	case *compare:
		return m.compare(x, s)
	case *choice:
		v, err := m.eval(x.test, s)
		switch {
		case err != nil:
			return nil, err
		case truth(v):
			return m.eval(x.yes, s)
		case x.no == nil:
			return undefined{"the inline if-expression has no else"}, nil
		}
		return m.eval(x.no, s)
	case *attribute:
		v, err := m.eval(x.x, s)
		if err != nil {
			return nil, err
		}
		return m.attribute(v, x.name, true)
	case *item:
		return m.item(x, s)
	case *slice:
		return m.slice(x, s)
	case *call:
		return m.callWith(x, s, nil)
	case *filter:
		v, a, err := m.subject(&x.call, s)
		if err == nil {
			f, _ := filterNamed(x.name)
			v, err = f(m, v, a)
		}
		return v, at(x.line, err)
	case *test:
		v, a, err := m.subject(&x.call, s)
		if err != nil {
			return nil, err
		}
		ok, err := tests[x.name](m, v, a)
		return ok != x.not, at(x.line, err)
	}
	return nil, fmt.Errorf("unknown expression %T", x)
}

func (m *machine) all(xs []expression, s *scope) ([]any, error) {
	out := make([]any, len(xs))
	for i, x := range xs {
		var err error
		if out[i], err = m.eval(x, s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// arguments evaluates a call's arguments.
func (m *machine) arguments(c *call, s *scope) (*arguments, error) {
	args, err := m.all(c.args, s)
	if err != nil {
		return nil, err
	}
	a := &arguments{args: args, named: map[string]any{}}
	for i, n := range c.names {
		if a.named[n], err = m.eval(c.named[i], s); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// subject evaluates what a filter or test is put to, and its arguments.
func (m *machine) subject(c *call, s *scope) (any, *arguments, error) {
	v, err := m.eval(c.x, s)
	if err != nil {
		return nil, nil, err
	}
	a, err := m.arguments(c, s)
	return v, a, err
}

// callWith calls a function; by is what its body may call as caller.
func (m *machine) callWith(c *call, s *scope, by *macro) (any, error) {
	f, err := m.eval(c.x, s)
	if err != nil {
		return nil, err
	}
	a, err := m.arguments(c, s)
	if err != nil {
		return nil, err
	}
	v, err := m.apply(f, a, by)
	return v, at(c.line, err)
}

func (m *machine) apply(f any, a *arguments, by *macro) (any, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.leave()
	switch f := f.(type) {
	case builtin:
		return f(m, a)
	case *macro:
		return m.expand(f, a, by)
	case *loopState:
		if f.again == nil || len(a.args) != 1 {
			return nil, fmt.Errorf("the loop is not marked as recursive")
		}
		return f.again(a.args[0])
	case undefined:
		return nil, fmt.Errorf("%s", f.name)
	}
	return nil, fmt.Errorf("'%s' object is not callable", kindOf(f))
}

// expand runs a macro.
func (m *machine) expand(f *macro, a *arguments, by *macro) (any, error) {
	n := f.node
	inner := f.scope.inner()
	if by != nil {
		inner.names["caller"] = by
	}
	if len(a.args) > len(n.names) {
		inner.names["varargs"] = tuple(a.args[len(n.names):])
	} else {
		inner.names["varargs"] = tuple{}
	}
	rest := NewDict()
	known := map[string]bool{}
	for i, name := range n.names {
		known[name] = true
		v, named := a.named[name]
		switch from := i - (len(n.names) - len(n.defaults)); {
		case i < len(a.args):
			v = a.args[i]
		case named:
		case from >= 0:
			var err error
			if v, err = m.eval(n.defaults[from], inner); err != nil {
				return nil, err
			}
		default:
			v = undefined{fmt.Sprintf("parameter '%s' was not provided", name)}
		}
		inner.names[name] = v
	}
	for name, v := range a.named {
		if !known[name] {
			rest.set(name, v)
		}
	}
	inner.names["kwargs"] = rest
	var out text
	err := m.run(n.body, inner, &out)
	return out.String(), err
}
