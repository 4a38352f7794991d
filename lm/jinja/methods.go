package jinja

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// method finds what a text, list or dictionary can do; nothing changes them.
func method(v any, name string) (builtin, bool) {
	switch v := v.(type) {
	case string:
		if f, ok := textMethods[name]; ok {
			return func(m *machine, a *arguments) (any, error) {
				if err := m.text(len(v)); err != nil {
					return nil, err
				}
				return f(m, v, a)
			}, true
		}
	case *Dict:
		if f, ok := dictMethods[name]; ok {
			return func(m *machine, a *arguments) (any, error) { return f(m, v, a) }, true
		}
	case []any, tuple:
		items, _ := sequence(v)
		switch name {
		case "count", "index":
			return func(m *machine, a *arguments) (any, error) { return m.find(name, items, a.take(0, "value", nil)) }, true
		case "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse":
			return func(*machine, *arguments) (any, error) {
				return nil, fmt.Errorf("a chat template may not change a list (%s)", name)
			}, true
		}
	}
	return nil, false
}

func (m *machine) find(name string, items []any, v any) (any, error) {
	n := 0
	for i, x := range items {
		same, err := m.equal(x, v)
		if err != nil {
			return nil, err
		}
		if same && name == "index" {
			return i, nil
		}
		if same {
			n++
		}
	}
	if name == "index" {
		return nil, fmt.Errorf("the value is not in the list")
	}
	return n, nil
}

// textOf returns a text among arguments.
func (a *arguments) text(i int, name string) (string, error) {
	s, ok := a.take(i, name, nil).(string)
	if !ok {
		return "", wanting(a.take(i, name, nil), "a text is wanted, not '%s'")
	}
	return s, nil
}

// count returns a number among arguments.
func (a *arguments) count(i int, name string, otherwise int) (int, error) {
	v := a.take(i, name, otherwise)
	_, n, whole, ok := number(v)
	if !ok || !whole {
		return 0, wanting(v, "a whole number is wanted, not '%s'")
	}
	return n, nil
}

type textMethod func(m *machine, s string, a *arguments) (any, error)

var textMethods = map[string]textMethod{
	"strip":      stripped(strings.Trim, strings.TrimFunc),
	"lstrip":     stripped(strings.TrimLeft, strings.TrimLeftFunc),
	"rstrip":     stripped(strings.TrimRight, strings.TrimRightFunc),
	"upper":      mapped(strings.ToUpper),
	"lower":      mapped(strings.ToLower),
	"title":      mapped(title),
	"capitalize": mapped(capitalize),
	"isdigit":    every(unicode.IsDigit),
	"isspace":    every(unicode.IsSpace),
	"isalpha":    every(unicode.IsLetter),
	"isalnum":    every(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
	"isupper": func(_ *machine, s string, _ *arguments) (any, error) {
		return s == strings.ToUpper(s) && s != strings.ToLower(s), nil
	},
	"islower": func(_ *machine, s string, _ *arguments) (any, error) {
		return s == strings.ToLower(s) && s != strings.ToUpper(s), nil
	},
	"startswith": affixed(strings.HasPrefix),
	"endswith":   affixed(strings.HasSuffix),
	"removeprefix": func(_ *machine, s string, a *arguments) (any, error) {
		p, err := a.text(0, "prefix")
		return strings.TrimPrefix(s, p), err
	},
	"removesuffix": func(_ *machine, s string, a *arguments) (any, error) {
		p, err := a.text(0, "suffix")
		return strings.TrimSuffix(s, p), err
	},
	"find":  found(strings.Index),
	"rfind": found(strings.LastIndex),
	"index": func(m *machine, s string, a *arguments) (any, error) {
		v, err := found(strings.Index)(m, s, a)
		if err == nil && v == -1 {
			return nil, fmt.Errorf("substring not found")
		}
		return v, err
	},
	"count": func(_ *machine, s string, a *arguments) (any, error) {
		p, err := a.text(0, "sub")
		return strings.Count(s, p), err
	},
	"replace": func(m *machine, s string, a *arguments) (any, error) {
		from, err := a.text(0, "old")
		if err != nil {
			return nil, err
		}
		to, err := a.text(1, "new")
		if err != nil {
			return nil, err
		}
		n, err := a.count(2, "count", -1)
		if err != nil {
			return nil, err
		}
		return m.replace(s, from, to, n)
	},
	"join": func(m *machine, s string, a *arguments) (any, error) {
		return m.join(a.take(0, "iterable", nil), s, true)
	},
	"split":  splitted(false),
	"rsplit": splitted(true),
	"splitlines": func(m *machine, s string, a *arguments) (any, error) {
		keep := truth(a.take(0, "keepends", false))
		out := []any{}
		for line := range strings.Lines(strings.ReplaceAll(s, "\r\n", "\n")) {
			if !keep {
				line = strings.TrimSuffix(line, "\n")
			}
			out = append(out, line)
		}
		return m.list(out)
	},
	"partition": func(_ *machine, s string, a *arguments) (any, error) {
		sep, err := a.text(0, "sep")
		before, after, ok := strings.Cut(s, sep)
		if !ok {
			sep = ""
		}
		return tuple{before, sep, after}, err
	},
	"zfill": padded(func(s string, n, _ int) string { return strings.Repeat("0", n) + s }),
	"ljust": padded(func(s string, n, _ int) string { return s + strings.Repeat(" ", n) }),
	"rjust": padded(func(s string, n, _ int) string { return strings.Repeat(" ", n) + s }),
	"center": padded(func(s string, n, width int) string {
		left := n/2 + n&width&1
		return strings.Repeat(" ", left) + s + strings.Repeat(" ", n-left)
	}),
}

func mapped(f func(string) string) textMethod {
	return func(_ *machine, s string, _ *arguments) (any, error) { return f(s), nil }
}

func every(f func(rune) bool) textMethod {
	return func(_ *machine, s string, _ *arguments) (any, error) {
		return s != "" && strings.IndexFunc(s, func(r rune) bool { return !f(r) }) < 0, nil
	}
}

func stripped(set func(s, cut string) string, white func(string, func(rune) bool) string) textMethod {
	return func(_ *machine, s string, a *arguments) (any, error) {
		if a.take(0, "chars", nil) == nil {
			return white(s, unicode.IsSpace), nil
		}
		cut, err := a.text(0, "chars")
		return set(s, cut), err
	}
}

func affixed(f func(s, affix string) bool) textMethod {
	return func(_ *machine, s string, a *arguments) (any, error) {
		if all, ok := a.take(0, "prefix", nil).(tuple); ok {
			for _, v := range all {
				if p, ok := v.(string); ok && f(s, p) {
					return true, nil
				}
			}
			return false, nil
		}
		p, err := a.text(0, "prefix")
		return err == nil && f(s, p), err
	}
}

// found counts in characters, as Python does.
func found(f func(s, sub string) int) textMethod {
	return func(_ *machine, s string, a *arguments) (any, error) {
		p, err := a.text(0, "sub")
		if err != nil {
			return nil, err
		}
		i := f(s, p)
		if i > 0 {
			i = utf8.RuneCountInString(s[:i])
		}
		return i, nil
	}
}

func padded(f func(s string, n, width int) string) textMethod {
	return func(m *machine, s string, a *arguments) (any, error) {
		width, err := a.count(0, "width", 0)
		if err != nil {
			return nil, err
		}
		n := width - utf8.RuneCountInString(s)
		if n <= 0 {
			return s, nil
		}
		if err := m.text(n); err != nil {
			return nil, err
		}
		return f(s, n, width), nil
	}
}

func splitted(right bool) textMethod {
	return func(m *machine, s string, a *arguments) (any, error) {
		most, err := a.count(1, "maxsplit", -1)
		if err != nil {
			return nil, err
		}
		if a.take(0, "sep", nil) == nil {
			return m.fields(s, most, right)
		}
		sep, err := a.text(0, "sep")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, fmt.Errorf("empty separator")
		}
		var parts []string
		if n := strings.Count(s, sep); right && most >= 0 && most < n {
			all := strings.Split(s, sep)
			parts = append([]string{strings.Join(all[:n-most+1], sep)}, all[n-most+1:]...)
		} else if most < 0 {
			parts = strings.Split(s, sep)
		} else {
			parts = strings.SplitN(s, sep, most+1)
		}
		return m.list(anys(parts))
	}
}

// fields splits at white space.
func (m *machine) fields(s string, most int, right bool) (any, error) {
	parts := strings.Fields(s)
	switch n := len(parts); {
	case most < 0 || most >= n:
	case right:
		for range most {
			s = strings.TrimRightFunc(s, unicode.IsSpace)
			s = s[:strings.LastIndexFunc(s, unicode.IsSpace)+1]
		}
		parts = append([]string{strings.TrimRightFunc(s, unicode.IsSpace)}, parts[n-most:]...)
	default:
		for range most {
			s = strings.TrimLeftFunc(s, unicode.IsSpace)
			s = s[strings.IndexFunc(s, unicode.IsSpace):]
		}
		parts = append(parts[:most:most], strings.TrimLeftFunc(s, unicode.IsSpace))
	}
	return m.list(anys(parts))
}

func anys(s []string) []any {
	out := make([]any, len(s))
	for i := range s {
		out[i] = s[i]
	}
	return out
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToTitle(r)) + strings.ToLower(s[n:])
}

func title(s string) string {
	var b strings.Builder
	in := false
	for _, r := range s {
		if in {
			b.WriteRune(unicode.ToLower(r))
		} else {
			b.WriteRune(unicode.ToTitle(r))
		}
		in = unicode.IsLetter(r)
	}
	return b.String()
}

type dictMethod func(m *machine, d *Dict, a *arguments) (any, error)

var dictMethods = map[string]dictMethod{
	"get": func(_ *machine, d *Dict, a *arguments) (any, error) {
		if v, ok := d.get(a.take(0, "key", nil)); ok {
			return v, nil
		}
		return a.take(1, "default", nil), nil
	},
	"keys":   func(m *machine, d *Dict, _ *arguments) (any, error) { return m.list(append([]any{}, d.keys...)) },
	"values": func(m *machine, d *Dict, _ *arguments) (any, error) { return m.values(d) },
	"items":  func(m *machine, d *Dict, _ *arguments) (any, error) { return m.pairs(d) },
}

func (m *machine) values(d *Dict) (any, error) {
	out := make([]any, len(d.keys))
	for i, k := range d.keys {
		out[i] = d.values[k]
	}
	return m.list(out)
}

func (m *machine) pairs(d *Dict) ([]any, error) {
	out := make([]any, len(d.keys))
	for i, k := range d.keys {
		out[i] = tuple{k, d.values[k]}
	}
	return m.list(out)
}
