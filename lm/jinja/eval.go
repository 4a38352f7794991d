package jinja

import (
	"fmt"
	"math"
	"strings"
)

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

func negate(op string, v any) (any, error) {
	if op == "not" {
		return !truth(v), nil
	}
	x, n, whole, ok := number(v)
	if !ok {
		return nil, wanting(v, "bad operand type for unary "+op+": '%s'")
	}
	if op == "-" {
		x, n = -x, -n
	}
	if whole {
		return n, nil
	}
	return x, nil
}

// wanting is an error about a value, which says so where it is undefined.
func wanting(v any, format string) error {
	if u, ok := v.(undefined); ok {
		return fmt.Errorf("%s", u.name)
	}
	return fmt.Errorf(format, kindOf(v))
}

func (m *machine) binary(b *binary, s *scope) (any, error) {
	x, err := m.eval(b.x, s)
	if err != nil {
		return nil, err
	}
	if b.op == "and" && !truth(x) || b.op == "or" && truth(x) {
		return x, nil
	}
	y, err := m.eval(b.y, s)
	if err != nil || b.op == "and" || b.op == "or" {
		return y, err
	}
	if b.op == "~" {
		return m.joinTexts(x, y)
	}
	for _, v := range []any{x, y} {
		if u, ok := v.(undefined); ok {
			return nil, fmt.Errorf("%s", u.name)
		}
	}
	p, n, wholeX, isX := number(x)
	q, k, wholeY, isY := number(y)
	if isX && isY {
		if wholeX && wholeY {
			return integers(b.op, n, k)
		}
		return floats(b.op, p, q)
	}
	switch {
	case b.op == "+":
		if t, ok := x.(string); ok {
			if u, ok := y.(string); ok {
				return t + u, m.text(len(t) + len(u))
			}
		}
		if t, ok := x.([]any); ok {
			if u, ok := y.([]any); ok {
				return m.list(append(append(make([]any, 0, len(t)+len(u)), t...), u...))
			}
		}
	case b.op == "*" && wholeY:
		return m.repeat(x, k)
	case b.op == "*" && wholeX:
		return m.repeat(y, n)
	case b.op == "%":
		if t, ok := x.(string); ok {
			return m.format(t, y)
		}
	}
	return nil, fmt.Errorf("unsupported operand type(s) for %s: '%s' and '%s'", b.op, kindOf(x), kindOf(y))
}

func (m *machine) joinTexts(x, y any) (any, error) {
	a, err := m.show(x)
	if err != nil {
		return nil, err
	}
	b, err := m.show(y)
	if err != nil {
		return nil, err
	}
	return a + b, m.text(len(a) + len(b))
}

func (m *machine) repeat(v any, n int) (any, error) {
	n = max(n, 0)
	switch v := v.(type) {
	case string:
		if len(v) > 0 && n > mostText/len(v) {
			return nil, m.text(mostText + 1)
		}
		return strings.Repeat(v, n), m.text(n * len(v))
	case []any:
		if len(v) > 0 && n > mostItems/len(v) {
			return m.list(make([]any, mostItems+1))
		}
		var out []any
		for range n {
			out = append(out, v...)
		}
		return m.list(out)
	}
	return nil, fmt.Errorf("can't multiply '%s' by a number", kindOf(v))
}

func integers(op string, n, k int) (any, error) {
	switch op {
	case "+":
		return n + k, nil
	case "-":
		return n - k, nil
	case "*":
		return n * k, nil
	case "**":
		x := math.Pow(float64(n), float64(k))
		if k >= 0 && math.Abs(x) < 1<<53 {
			return int(x), nil
		}
		return x, nil
	}
	if k == 0 {
		return nil, fmt.Errorf("division by zero")
	}
	switch op {
	case "//", "%":
		q, r := n/k, n%k
		if r != 0 && (r < 0) != (k < 0) {
			q, r = q-1, r+k
		}
		if op == "%" {
			return r, nil
		}
		return q, nil
	}
	return float64(n) / float64(k), nil
}

func floats(op string, x, y float64) (any, error) {
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "**":
		return math.Pow(x, y), nil
	}
	if y == 0 {
		return nil, fmt.Errorf("division by zero")
	}
	switch op {
	case "//":
		return math.Floor(x / y), nil
	case "%":
		return x - y*math.Floor(x/y), nil
	}
	return x / y, nil
}

func (m *machine) compare(c *compare, s *scope) (any, error) {
	x, err := m.eval(c.x, s)
	if err != nil {
		return nil, err
	}
	for i, op := range c.ops {
		y, err := m.eval(c.ys[i], s)
		if err != nil {
			return nil, err
		}
		ok, err := m.holds(op, x, y)
		if err != nil || !ok {
			return false, err
		}
		x = y
	}
	return true, nil
}
