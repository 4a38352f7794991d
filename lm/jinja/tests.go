package jinja

import (
	"fmt"
	"strings"
)

type testFunction func(m *machine, v any, a *arguments) (bool, error)

// tests are what may stand behind is.
var tests = map[string]testFunction{
	"defined":   plain(func(v any) bool { return kindOf(v) != "Undefined" }),
	"undefined": plain(func(v any) bool { return kindOf(v) == "Undefined" }),
	"none":      plain(func(v any) bool { return v == nil }),
	"string":    plain(func(v any) bool { return kindOf(v) == "str" }),
	"boolean":   plain(func(v any) bool { return kindOf(v) == "bool" }),
	"integer":   plain(func(v any) bool { return kindOf(v) == "int" }),
	"float":     plain(func(v any) bool { return kindOf(v) == "float" }),
	"number":    plain(func(v any) bool { _, _, _, ok := number(v); return ok }),
	"mapping":   plain(func(v any) bool { return kindOf(v) == "dict" }),
	"callable":  plain(func(v any) bool { return kindOf(v) == "function" }),
	"true":      plain(func(v any) bool { b, ok := v.(bool); return ok && b }),
	"false":     plain(func(v any) bool { b, ok := v.(bool); return ok && !b }),
	"iterable":  plain(iterable),
	"sequence":  plain(iterable),
	"lower":     plain(func(v any) bool { s, ok := v.(string); return ok && s == strings.ToLower(s) && s != strings.ToUpper(s) }),
	"upper":     plain(func(v any) bool { s, ok := v.(string); return ok && s == strings.ToUpper(s) && s != strings.ToLower(s) }),
	"odd":       plain(func(v any) bool { n, ok := whole(v); return ok && n%2 != 0 }),
	"even":      plain(func(v any) bool { n, ok := whole(v); return ok && n%2 == 0 }),
	"divisibleby": func(m *machine, v any, a *arguments) (bool, error) {
		n, ok := whole(v)
		k, also := whole(a.take(0, "num", nil))
		if !ok || !also || k == 0 {
			return false, fmt.Errorf("divisibleby wants whole numbers, the second not zero")
		}
		return n%k == 0, nil
	},
	"sameas": against("=="), "eq": against("=="), "equalto": against("=="),
	"ne": against("!="), "lt": against("<"), "lessthan": against("<"), "le": against("<="),
	"gt": against(">"), "greaterthan": against(">"), "ge": against(">="), "in": against("in"),
}

func plain(f func(v any) bool) testFunction {
	return func(_ *machine, v any, _ *arguments) (bool, error) { return f(v), nil }
}

// against compares with the argument.
func against(op string) testFunction {
	return func(m *machine, v any, a *arguments) (bool, error) {
		if len(a.args) != 1 {
			return false, fmt.Errorf("a test of %s takes one argument", op)
		}
		return m.holds(op, v, a.args[0])
	}
}

func whole(v any) (int, bool) {
	_, n, whole, ok := number(v)
	return n, ok && whole
}

func iterable(v any) bool {
	switch v.(type) {
	case string, []any, tuple, *Dict, undefined:
		return true
	}
	return false
}
