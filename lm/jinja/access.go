package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// attribute is v.name; where an attribute is lacking, the item of that name.
func (m *machine) attribute(v any, name string, items bool) (any, error) {
	switch v := v.(type) {
	case undefined:
		return nil, fmt.Errorf("%s", v.name)
	case *loopState:
		if a, ok := v.attribute(name); ok {
			return a, nil
		}
	case namespace:
		if a, ok := v.values[name]; ok {
			return a, nil
		}
	case *macro:
		if name == "name" {
			return v.node.name, nil
		}
	default:
		if f, ok := method(v, name); ok {
			return f, nil
		}
		if d, ok := v.(*Dict); ok && items {
			if a, ok := d.get(name); ok {
				return a, nil
			}
		}
	}
	return undefined{fmt.Sprintf("'%s object' has no attribute '%s'", kindOf(v), name)}, nil
}

// item is v[key]; where an item is lacking, the attribute of that name.
func (m *machine) item(x *item, s *scope) (any, error) {
	v, err := m.eval(x.x, s)
	if err != nil {
		return nil, err
	}
	key, err := m.eval(x.key, s)
	if err != nil {
		return nil, err
	}
	return m.lookup(v, key)
}

func (m *machine) lookup(v, key any) (any, error) {
	if u, ok := v.(undefined); ok {
		return nil, fmt.Errorf("%s", u.name)
	}
	if d, ok := v.(*Dict); ok {
		if a, ok := d.get(key); ok {
			return a, nil
		}
	} else if _, i, whole, ok := number(key); ok && whole {
		if t, ok := v.(string); ok {
			return m.letter(t, i)
		}
		if items, ok := sequence(v); ok {
			if i < 0 {
				i += len(items)
			}
			if i >= 0 && i < len(items) {
				return items[i], nil
			}
			return undefined{fmt.Sprintf("'%s object' has no element %d", kindOf(v), i)}, nil
		}
	}
	if name, ok := key.(string); ok {
		return m.attribute(v, name, false)
	}
	return undefined{fmt.Sprintf("'%s object' has no such element", kindOf(v))}, nil
}

// letter is one character of a text.
func (m *machine) letter(t string, i int) (any, error) {
	if err := m.step(len(t)/64 + 1); err != nil {
		return nil, err
	}
	if i < 0 {
		i += utf8.RuneCountInString(t)
	}
	n := 0
	for _, r := range t {
		if n == i {
			return string(r), nil
		}
		n++
	}
	return undefined{"'str object' has no such element"}, nil
}

func (m *machine) slice(x *slice, s *scope) (any, error) {
	v, err := m.eval(x.x, s)
	if err != nil {
		return nil, err
	}
	var bounds [3]*int
	for i, e := range []expression{x.from, x.to, x.step} {
		if e == nil {
			continue
		}
		b, err := m.eval(e, s)
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		_, n, whole, ok := number(b)
		if !ok || !whole {
			return nil, fmt.Errorf("slice indices must be integers, not '%s'", kindOf(b))
		}
		bounds[i] = &n
	}
	switch t := v.(type) {
	case string:
		letters := []rune(t)
		at, err := indices(len(letters), bounds)
		if err != nil {
			return nil, err
		}
		out := make([]rune, len(at))
		for i, k := range at {
			out[i] = letters[k]
		}
		return string(out), m.text(len(t))
	case []any, tuple:
		items, _ := sequence(v)
		at, err := indices(len(items), bounds)
		if err != nil {
			return nil, err
		}
		out := make([]any, len(at))
		for i, k := range at {
			out[i] = items[k]
		}
		if _, ok := v.(tuple); ok {
			return tuple(out), m.step(len(out)/8 + 1)
		}
		return m.list(out)
	}
	return nil, wanting(v, "'%s' object cannot be sliced")
}

// indices are those that a slice of n elements takes, as Python counts.
func indices(n int, bounds [3]*int) ([]int, error) {
	step := 1
	if bounds[2] != nil {
		if step = *bounds[2]; step == 0 {
			return nil, fmt.Errorf("slice step cannot be zero")
		}
	}
	low, high := 0, n
	if step < 0 {
		low, high = -1, n-1
	}
	clamp := func(b *int, otherwise int) int {
		if b == nil {
			return otherwise
		}
		i := *b
		if i < 0 {
			i += n
		}
		return max(low, min(high, i))
	}
	var out []int
	if step > 0 {
		for i := clamp(bounds[0], 0); i < clamp(bounds[1], n); {
			out = append(out, i)
			if step > n {
				break
			}
			i += step
		}
		return out, nil
	}
	for i := clamp(bounds[0], n-1); i > clamp(bounds[1], -1); {
		out = append(out, i)
		if -step > n || step == -step {
			break
		}
		i += step
	}
	return out, nil
}

// holds says whether x op y.
func (m *machine) holds(op string, x, y any) (bool, error) {
	switch op {
	case "==":
		return m.equal(x, y)
	case "!=":
		ok, err := m.equal(x, y)
		return !ok, err
	case "in":
		return m.contains(y, x)
	case "not in":
		ok, err := m.contains(y, x)
		return !ok, err
	}
	for _, v := range []any{x, y} {
		if u, ok := v.(undefined); ok {
			return false, fmt.Errorf("%s", u.name)
		}
	}
	c, err := m.order(x, y)
	switch op {
	case "<":
		return c < 0, err
	case "<=":
		return c <= 0, err
	case ">":
		return c > 0, err
	}
	return c >= 0, err
}

func (m *machine) contains(in, v any) (bool, error) {
	switch in := in.(type) {
	case string:
		s, ok := v.(string)
		if !ok {
			return false, wanting(v, "'in <string>' requires string as left operand, not '%s'")
		}
		return strings.Contains(in, s), m.step(len(in)/64 + 1)
	case *Dict:
		_, ok := in.get(v)
		return ok, nil
	}
	items, err := m.items(in)
	if err != nil {
		return false, err
	}
	for _, i := range items {
		if ok, err := m.equal(i, v); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// format is text % values, of %s, %d, %r and %%.
func (m *machine) format(t string, values any) (any, error) {
	args, ok := values.(tuple)
	if !ok {
		args = tuple{values}
	}
	var out text
	for {
		before, rest, found := strings.Cut(t, "%")
		if err := out.add(m, before); err != nil {
			return nil, err
		}
		if !found {
			break
		}
		if rest == "" {
			return nil, fmt.Errorf("incomplete format")
		}
		verb := rest[0]
		t = rest[1:]
		if verb == '%' {
			out.add(m, "%")
			continue
		}
		if len(args) == 0 {
			return nil, fmt.Errorf("not enough arguments for format string")
		}
		var err error
		switch verb {
		case 's', 'r':
			err = m.write(&out, args[0], verb == 'r')
		case 'd', 'i':
			x, n, whole, ok := number(args[0])
			if !ok {
				return nil, fmt.Errorf("%%%c format: a number is required", verb)
			}
			if !whole {
				n = int(x)
			}
			err = out.add(m, strconv.Itoa(n))
		default:
			err = fmt.Errorf("unsupported format character %q", verb)
		}
		if err != nil {
			return nil, err
		}
		args = args[1:]
	}
	if len(args) > 0 && ok {
		return nil, fmt.Errorf("not all arguments converted during string formatting")
	}
	return out.String(), nil
}
