package jinja

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// functions are what every template may call.
var functions = map[string]builtin{
	"range":     ranged,
	"namespace": func(m *machine, a *arguments) (any, error) { d, err := dict(a); return namespace{d}, err },
	"dict":      func(m *machine, a *arguments) (any, error) { d, err := dict(a); return d, err },
	"raise_exception": func(m *machine, a *arguments) (any, error) {
		why, err := m.show(a.take(0, "message", ""))
		if err != nil {
			return nil, err
		}
		return nil, errors.New(why)
	},
	"joiner": func(m *machine, a *arguments) (any, error) {
		used, sep := false, a.take(0, "sep", ", ")
		return builtin(func(*machine, *arguments) (any, error) {
			if !used {
				used = true
				return "", nil
			}
			return sep, nil
		}), nil
	},
}

func dict(a *arguments) (*Dict, error) {
	d := NewDict()
	for _, v := range a.args {
		from, ok := v.(*Dict)
		if !ok {
			return nil, fmt.Errorf("'%s' object is no dictionary", kindOf(v))
		}
		for _, k := range from.keys {
			d.set(k, from.values[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a.named)) {
		d.set(k, a.named[k])
	}
	return d, nil
}

func ranged(m *machine, a *arguments) (any, error) {
	from, to, step := 0, 0, 1
	bounds := []*int{&from, &to, &step}
	switch len(a.args) {
	case 1:
		bounds = bounds[1:2]
	case 2, 3:
	default:
		return nil, errors.New("range takes one to three numbers")
	}
	for i, v := range a.args {
		_, n, whole, ok := number(v)
		if !ok || !whole {
			return nil, wanting(v, "'%s' object cannot be interpreted as an integer")
		}
		*bounds[i] = n
	}
	if step == 0 {
		return nil, errors.New("range() arg 3 must not be zero")
	}
	out := []any{}
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if len(out) == mostItems {
			return nil, fmt.Errorf("%w: range of more than %d elements", ErrBound, mostItems)
		}
		out = append(out, i)
		if next := i + step; (next > i) != (step > 0) { // beyond the largest number
			break
		}
	}
	return m.list(out)
}
