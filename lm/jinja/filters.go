package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type filterFunction func(m *machine, v any, a *arguments) (any, error)

// filterNamed finds a filter. map is one of them, which itself finds filters.
func filterNamed(name string) (filterFunction, bool) {
	if name == "map" {
		return mapping, true
	}
	if method, ok := ofText[name]; ok {
		return func(m *machine, v any, a *arguments) (any, error) {
			s, err := m.show(v)
			if err == nil {
				err = m.text(len(s))
			}
			if err != nil {
				return nil, err
			}
			return textMethods[method](m, s, a)
		}, true
	}
	f, ok := filters[name]
	return f, ok
}

// ofText are filters that are a text's methods.
var ofText = map[string]string{"upper": "upper", "lower": "lower", "title": "title", "capitalize": "capitalize",
	"trim": "strip", "replace": "replace", "center": "center"}

// filters are what may stand behind a bar.
var filters = map[string]filterFunction{
	"length": length, "count": length,
	"default": fallback, "d": fallback,
	"first": func(m *machine, v any, _ *arguments) (any, error) { return m.pick(v, 0) },
	"last":  func(m *machine, v any, _ *arguments) (any, error) { return m.pick(v, -1) },
	"list":  func(m *machine, v any, _ *arguments) (any, error) { return m.items(v) },
	"items": func(m *machine, v any, _ *arguments) (any, error) {
		if d, ok := v.(*Dict); ok {
			return m.pairs(d)
		}
		if _, ok := v.(undefined); ok {
			return []any{}, nil
		}
		return nil, wanting(v, "items wants a dictionary, not '%s'")
	},
	"string": func(m *machine, v any, _ *arguments) (any, error) { return m.show(v) },
	"safe":   func(m *machine, v any, _ *arguments) (any, error) { return v, nil },
	"join": func(m *machine, v any, a *arguments) (any, error) {
		if name := a.take(1, "attribute", nil); name != nil {
			var err error
			if v, err = m.project(v, name); err != nil {
				return nil, err
			}
		}
		sep, err := m.show(a.take(0, "d", ""))
		if err != nil {
			return nil, err
		}
		return m.join(v, sep, false)
	},
	"tojson": func(m *machine, v any, a *arguments) (any, error) {
		indent := -1
		if a.take(0, "indent", nil) != nil {
			var err error
			if indent, err = a.count(0, "indent", 0); err != nil {
				return nil, err
			}
		}
		var out text
		err := m.json(&out, v, min(indent, 16), 0)
		return out.String(), err
	},
	"int": func(m *machine, v any, a *arguments) (any, error) {
		if s, ok := v.(string); ok {
			s = strings.TrimSpace(s)
			if n, err := strconv.Atoi(s); err == nil {
				return n, nil
			}
			if x, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(x) < 1<<62 {
				return int(x), nil
			}
		} else if x, n, whole, ok := number(v); ok && whole {
			return n, nil
		} else if ok && math.Abs(x) < 1<<62 {
			return int(x), nil
		}
		return a.take(0, "default", 0), nil
	},
	"float": func(m *machine, v any, a *arguments) (any, error) {
		if s, ok := v.(string); ok {
			if x, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
				return x, nil
			}
		} else if x, _, _, ok := number(v); ok {
			return x, nil
		}
		return a.take(0, "default", 0.0), nil
	},
	"abs": func(m *machine, v any, _ *arguments) (any, error) {
		x, n, whole, ok := number(v)
		switch {
		case !ok:
			return nil, wanting(v, "bad operand type for abs(): '%s'")
		case whole:
			return max(n, -n), nil
		}
		return math.Abs(x), nil
	},
	"round": func(m *machine, v any, a *arguments) (any, error) {
		x, _, _, ok := number(v)
		n, err := a.count(0, "precision", 0)
		if !ok || err != nil {
			return nil, wanting(v, "'%s' cannot be rounded")
		}
		f := map[any]func(float64) float64{"common": math.RoundToEven, "ceil": math.Ceil, "floor": math.Floor}[a.take(1, "method", "common")]
		if f == nil {
			return nil, fmt.Errorf("round's method is common, ceil or floor")
		}
		scale := math.Pow10(n)
		return f(x*scale) / scale, nil
	},
	"indent":  indented,
	"reverse": reversed,
	"sort":    sorted,
	"unique":  unique,
	"min":     func(m *machine, v any, _ *arguments) (any, error) { return m.extreme(v, -1) },
	"max":     func(m *machine, v any, _ *arguments) (any, error) { return m.extreme(v, 1) },
	"sum": func(m *machine, v any, a *arguments) (any, error) {
		items, err := m.items(v)
		total, whole := 0.0, true
		for _, x := range append([]any{a.take(1, "start", 0)}, items...) {
			y, _, also, ok := number(x)
			if !ok {
				return nil, wanting(x, "sum wants numbers, not '%s'")
			}
			total, whole = total+y, whole && also
		}
		if whole && math.Abs(total) < 1<<53 {
			return int(total), err
		}
		return total, err
	},
	"select":     chosen(false, true),
	"reject":     chosen(false, false),
	"selectattr": chosen(true, true),
	"rejectattr": chosen(true, false),
	"attr": func(m *machine, v any, a *arguments) (any, error) {
		name, err := a.text(0, "name")
		if err != nil {
			return nil, err
		}
		return m.attribute(v, name, false)
	},
	"dictsort": func(m *machine, v any, _ *arguments) (any, error) {
		d, ok := v.(*Dict)
		if !ok {
			return nil, wanting(v, "dictsort wants a dictionary, not '%s'")
		}
		pairs, err := m.pairs(d)
		if err != nil {
			return nil, err
		}
		return sorted(m, pairs, &arguments{})
	},
	"escape": escaped, "e": escaped,
	"wordcount": func(m *machine, v any, _ *arguments) (any, error) {
		s, err := m.show(v)
		return len(strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != '_' })), err
	},
	"format": func(m *machine, v any, a *arguments) (any, error) {
		s, err := m.show(v)
		if err != nil {
			return nil, err
		}
		return m.format(s, tuple(a.args))
	},
}

func length(m *machine, v any, _ *arguments) (any, error) {
	switch v := v.(type) {
	case string:
		return utf8.RuneCountInString(v), m.step(len(v) / 64)
	case *Dict:
		return len(v.keys), nil
	case undefined:
		return 0, nil
	}
	if items, ok := sequence(v); ok {
		return len(items), nil
	}
	return nil, fmt.Errorf("object of type '%s' has no len()", kindOf(v))
}

func fallback(_ *machine, v any, a *arguments) (any, error) {
	if _, ok := v.(undefined); ok || truth(a.take(1, "boolean", false)) && !truth(v) {
		return a.take(0, "default_value", ""), nil
	}
	return v, nil
}

func (m *machine) pick(v any, i int) (any, error) {
	items, err := m.items(v)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return undefined{"No first or last item, sequence was empty."}, nil
	}
	if i < 0 {
		i += len(items)
	}
	return items[i], nil
}

// join puts the elements of v together; where strict is set, they must be texts.
func (m *machine) join(v any, sep string, strict bool) (any, error) {
	items, err := m.items(v)
	if err != nil {
		return nil, err
	}
	var out text
	for i, x := range items {
		if i > 0 {
			if err := out.add(m, sep); err != nil {
				return nil, err
			}
		}
		if _, ok := x.(string); strict && !ok {
			return nil, wanting(x, "join wants texts, not '%s'")
		}
		if err := m.write(&out, x, false); err != nil {
			return nil, err
		}
	}
	return out.String(), nil
}

func (m *machine) replace(s, from, to string, n int) (any, error) {
	found := strings.Count(s, from)
	if n >= 0 {
		found = min(found, n)
	}
	if grows := len(to) - len(from); grows > 0 && found > mostText/grows {
		return nil, m.text(mostText + 1)
	} else if err := m.text(len(s) + found*grows); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, n), nil
}

func indented(m *machine, v any, a *arguments) (any, error) {
	s, err := m.show(v)
	if err != nil {
		return nil, err
	}
	pad, isText := a.take(0, "width", 4).(string)
	if !isText {
		n, err := a.count(0, "width", 4)
		if err != nil {
			return nil, err
		}
		if err := m.text(max(n, 0)); err != nil {
			return nil, err
		}
		pad = strings.Repeat(" ", max(n, 0))
	}
	first, blank := truth(a.take(1, "first", false)), truth(a.take(2, "blank", false))
	var out text
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			out.add(m, "\n")
		}
		if i > 0 && (line != "" || blank) || i == 0 && first {
			line = pad + line
		}
		if err := out.add(m, line); err != nil {
			return nil, err
		}
	}
	return out.String(), nil
}

func escaped(m *machine, v any, _ *arguments) (any, error) {
	s, err := m.show(v)
	if err != nil || len(s) > mostText/5 {
		return nil, m.text(len(s) * 5)
	}
	s = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(s)
	return s, m.text(len(s))
}
