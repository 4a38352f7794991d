package jinja

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func reversed(m *machine, v any, _ *arguments) (any, error) {
	items, err := m.items(v)
	if err != nil {
		return nil, err
	}
	items = slices.Clone(items)
	slices.Reverse(items)
	if _, ok := v.(string); ok {
		return m.join(items, "", false)
	}
	return m.list(items)
}

// project takes an attribute, which may be several with dots, of each element.
func (m *machine) project(v, name any) ([]any, error) {
	items, err := m.items(v)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, x := range items {
		if out[i], err = m.dotted(x, name); err != nil {
			return nil, err
		}
	}
	return m.list(out)
}

func (m *machine) dotted(v, name any) (any, error) {
	if err := m.step(1); err != nil {
		return nil, err
	}
	path, ok := name.(string)
	if !ok {
		return m.lookup(v, name)
	}
	for _, part := range strings.Split(path, ".") {
		var key any = part
		if n, err := strconv.Atoi(part); err == nil {
			key = n
		}
		var err error
		if v, err = m.lookup(v, key); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func mapping(m *machine, v any, a *arguments) (any, error) {
	if name, ok := a.named["attribute"]; ok {
		out, err := m.project(v, name)
		if otherwise, ok := a.named["default"]; ok && err == nil {
			for i := range out {
				if _, lacking := out[i].(undefined); lacking {
					out[i] = otherwise
				}
			}
		}
		return out, err
	}
	name, err := a.text(0, "filter")
	if err != nil {
		return nil, err
	}
	f, ok := filterNamed(name)
	if !ok {
		return nil, fmt.Errorf("unknown filter %q", name)
	}
	items, err := m.items(v)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, x := range items {
		if err := m.step(1); err != nil {
			return nil, err
		}
		if out[i], err = m.guarded(f, x, &arguments{args: a.args[1:], named: a.named}); err != nil {
			return nil, err
		}
	}
	return m.list(out)
}

// guarded runs a filter that another one names, inside it.
func (m *machine) guarded(f filterFunction, v any, a *arguments) (any, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.leave()
	return f(m, v, a)
}

// chosen keeps the elements of which a test, of them or of an attribute, is so.
func chosen(attribute, keep bool) filterFunction {
	return func(m *machine, v any, a *arguments) (any, error) {
		items, err := m.items(v)
		if err != nil {
			return nil, err
		}
		args := a.args
		var name any
		if attribute {
			if len(args) == 0 {
				return nil, fmt.Errorf("the attribute's name is missing")
			}
			name, args = args[0], args[1:]
		}
		is := func(m *machine, v any, _ *arguments) (bool, error) { return truth(v), nil }
		if len(args) > 0 {
			t, _ := args[0].(string)
			op := map[string]string{"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
			if n, ok := op[t]; ok {
				t = n
			}
			if is = tests[t]; is == nil {
				return nil, fmt.Errorf("unknown test %q", t)
			}
			args = args[1:]
		}
		out := []any{}
		for _, x := range items {
			value := x
			if attribute {
				if value, err = m.dotted(x, name); err != nil {
					return nil, err
				}
			}
			ok, err := is(m, value, &arguments{args: args, named: a.named})
			if err != nil {
				return nil, err
			}
			if ok == keep {
				out = append(out, x)
			}
		}
		return m.list(out)
	}
}

// key is what elements are compared by.
func (m *machine) key(v, attribute any, exact bool) (any, error) {
	if attribute != nil {
		var err error
		if v, err = m.dotted(v, attribute); err != nil {
			return nil, err
		}
	}
	if s, ok := v.(string); ok && !exact {
		return strings.ToLower(s), m.text(len(s))
	}
	return v, nil
}

func sorted(m *machine, v any, a *arguments) (any, error) {
	items, err := m.items(v)
	if err != nil {
		return nil, err
	}
	type keyed struct{ key, value any }
	all := make([]keyed, len(items))
	for i, x := range items {
		k, err := m.key(x, a.take(2, "attribute", nil), truth(a.take(1, "case_sensitive", false)))
		if err != nil {
			return nil, err
		}
		all[i] = keyed{k, x}
	}
	back := truth(a.take(0, "reverse", false))
	slices.SortStableFunc(all, func(x, y keyed) int {
		if err != nil {
			return 0
		}
		var c int
		if c, err = m.order(x.key, y.key); back {
			c = -c
		}
		return c
	})
	if err != nil {
		return nil, err
	}
	out := make([]any, len(all))
	for i := range all {
		out[i] = all[i].value
	}
	return m.list(out)
}

func unique(m *machine, v any, a *arguments) (any, error) {
	items, err := m.items(v)
	if err != nil {
		return nil, err
	}
	out, seen := []any{}, []any{}
	for _, x := range items {
		k, err := m.key(x, a.take(1, "attribute", nil), truth(a.take(0, "case_sensitive", false)))
		if err != nil {
			return nil, err
		}
		known, err := m.contains(seen, k)
		if err != nil {
			return nil, err
		}
		if !known {
			out, seen = append(out, x), append(seen, k)
		}
	}
	return m.list(out)
}

// extreme is the least element, or with sign 1 the greatest.
func (m *machine) extreme(v any, sign int) (any, error) {
	items, err := m.items(v)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return undefined{"No aggregated item, sequence was empty."}, nil
	}
	best := items[0]
	for _, x := range items[1:] {
		c, err := m.order(x, best)
		if err != nil {
			return nil, err
		}
		if c*sign > 0 {
			best = x
		}
	}
	return best, nil
}

// json writes as json.dumps does, with characters as they are.
func (m *machine) json(out *text, v any, indent, depth int) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.leave()
	line := func(depth int) error {
		if indent < 0 {
			return nil
		}
		return out.add(m, "\n"+strings.Repeat(" ", indent*min(depth, mostCalls)))
	}
	comma := func(i int) error {
		switch {
		case i == 0:
			return line(depth + 1)
		case indent < 0:
			return out.add(m, ", ")
		}
		out.add(m, ",")
		return line(depth + 1)
	}
	switch v := v.(type) {
	case nil:
		return out.add(m, "null")
	case bool:
		return out.add(m, strconv.FormatBool(v))
	case int:
		return out.add(m, strconv.Itoa(v))
	case float64:
		return out.add(m, showFloat(v))
	case string:
		return out.add(m, quoteJSON(v))
	case *Dict:
		out.add(m, "{")
		for i, k := range v.keys {
			if err := comma(i); err != nil {
				return err
			}
			name, err := m.show(k)
			if err != nil {
				return err
			}
			out.add(m, quoteJSON(name)+": ")
			if err := m.json(out, v.values[k], indent, depth+1); err != nil {
				return err
			}
		}
		if len(v.keys) > 0 {
			if err := line(depth); err != nil {
				return err
			}
		}
		return out.add(m, "}")
	}
	items, ok := sequence(v)
	if !ok {
		return wanting(v, "Object of type %s is not JSON serializable")
	}
	out.add(m, "[")
	for i, x := range items {
		if err := comma(i); err != nil {
			return err
		}
		if err := m.json(out, x, indent, depth+1); err != nil {
			return err
		}
	}
	if len(items) > 0 {
		if err := line(depth); err != nil {
			return err
		}
	}
	return out.add(m, "]")
}

// quoteJSON quotes a text; only what JSON demands is escaped.
func quoteJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch i := strings.IndexRune("\"\\\n\r\t\b\f", r); {
		case i >= 0:
			b.WriteByte('\\')
			b.WriteByte("\"\\nrtbf"[i])
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
