package jinja

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"unicode/utf8"
)

// Besides these, values are nil, bool, int, float64, string and []any.
type (
	// Dict is a dictionary, which keeps its order.
	Dict struct {
		keys   []any
		values map[any]any
	}
	tuple     []any
	undefined struct{ name string }
	namespace struct{ *Dict }
)

// NewDict makes a dictionary of keys and values in turn.
func NewDict(pairs ...any) *Dict {
	d := &Dict{values: map[any]any{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		d.set(pairs[i], pairs[i+1])
	}
	return d
}

func (d *Dict) set(key, value any) {
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[key] = value
}

func (d *Dict) get(key any) (any, bool) {
	if !hashable(key) {
		return nil, false
	}
	v, ok := d.values[key]
	return v, ok
}

func hashable(v any) bool {
	switch v.(type) {
	case nil, bool, int, float64, string:
		return true
	}
	return false
}

// from makes values of what a Go program gives.
func from(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = from(v[i])
		}
		return out
	case map[string]any:
		d := NewDict()
		for _, k := range slices.Sorted(maps.Keys(v)) {
			d.set(k, from(v[k]))
		}
		return d
	case Function:
		return builtin(func(m *machine, a *arguments) (any, error) { return v(a.args) })
	}
	return v
}

// kindOf names a value's type as Python does.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case []any:
		return "list"
	case tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case namespace:
		return "Namespace"
	case undefined:
		return "Undefined"
	}
	return "function"
}

func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case tuple:
		return len(v) > 0
	case *Dict:
		return len(v.keys) > 0
	}
	return true
}

// number tells a value as a float, where it is one; whole where it is an int.
func number(v any) (x float64, n int, whole, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, 1, true, true
		}
		return 0, 0, true, true
	case int:
		return float64(v), v, true, true
	case float64:
		return v, 0, false, true
	}
	return 0, 0, false, false
}

// items are the elements of what can be gone through.
func (m *machine) items(v any) ([]any, error) {
	var out []any
	switch v := v.(type) {
	case []any:
		return v, m.step(len(v) / 64)
	case tuple:
		return v, m.step(len(v) / 64)
	case *Dict:
		return v.keys, m.step(len(v.keys) / 64)
	case string:
		if err := m.text(len(v)); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(v) > mostItems {
			return m.list(make([]any, mostItems+1))
		}
		for _, r := range v {
			out = append(out, string(r))
		}
		return m.list(out)
	case undefined:
		return nil, nil
	}
	return nil, fmt.Errorf("'%s' object is not iterable", kindOf(v))
}

// equal compares as Python does.
func (m *machine) equal(a, b any) (bool, error) {
	if err := m.step(1); err != nil {
		return false, err
	}
	if x, n, whole, ok := number(a); ok {
		y, k, also, ok := number(b)
		return ok && (whole && also && n == k || !(whole && also) && x == y), nil
	}
	switch a := a.(type) {
	case nil:
		return b == nil, nil
	case string:
		s, ok := b.(string)
		return ok && a == s, m.step(len(a) / 64)
	case undefined:
		_, ok := b.(undefined)
		return ok, nil
	case []any:
		s, ok := b.([]any)
		return m.same(a, s, ok)
	case tuple:
		s, ok := b.(tuple)
		return m.same(a, s, ok)
	case *Dict:
		d, ok := b.(*Dict)
		if !ok || len(a.keys) != len(d.keys) {
			return false, nil
		}
		for _, k := range a.keys {
			v, ok := d.values[k]
			if !ok {
				return false, nil
			}
			if ok, err := m.equal(a.values[k], v); !ok || err != nil {
				return false, err
			}
		}
		return true, nil
	case namespace:
		n, ok := b.(namespace)
		return ok && a.Dict == n.Dict, nil
	case *macro:
		n, ok := b.(*macro)
		return ok && a == n, nil
	}
	return false, nil
}

func (m *machine) same(a, b []any, ok bool) (bool, error) {
	if !ok || len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if ok, err := m.equal(a[i], b[i]); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// order compares what has an order: numbers, texts and lists of them.
func (m *machine) order(a, b any) (int, error) {
	if err := m.step(1); err != nil {
		return 0, err
	}
	if x, n, whole, ok := number(a); ok {
		if y, k, also, ok := number(b); ok {
			if whole && also {
				return cmp.Compare(n, k), nil
			}
			return cmp.Compare(x, y), nil
		}
	}
	if s, ok := a.(string); ok {
		if t, ok := b.(string); ok {
			return cmp.Compare(s, t), m.step(min(len(s), len(t)) / 64)
		}
	}
	x, isX := sequence(a)
	y, isY := sequence(b)
	if isX && isY && reflect.TypeOf(a) == reflect.TypeOf(b) {
		for i := range min(len(x), len(y)) {
			if c, err := m.order(x[i], y[i]); c != 0 || err != nil {
				return c, err
			}
		}
		return cmp.Compare(len(x), len(y)), nil
	}
	return 0, fmt.Errorf("'%s' and '%s' have no order", kindOf(a), kindOf(b))
}

func sequence(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case tuple:
		return v, true
	}
	return nil, false
}
