package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// show writes a value as {{ }} does.
func (m *machine) show(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	var out text
	err := m.write(&out, v, false)
	return out.String(), err
}

// write writes a value as Python's str, or repr, does.
func (m *machine) write(out *text, v any, quoted bool) error {
	if err := m.step(1); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		return out.add(m, "None")
	case undefined:
		return nil
	case bool:
		if v {
			return out.add(m, "True")
		}
		return out.add(m, "False")
	case int:
		return out.add(m, strconv.Itoa(v))
	case float64:
		return out.add(m, showFloat(v))
	case string:
		if quoted {
			v = repr(v)
		}
		return out.add(m, v)
	case []any:
		return m.writeAll(out, "[", "]", v)
	case tuple:
		if len(v) == 1 {
			return m.writeAll(out, "(", ",)", v)
		}
		return m.writeAll(out, "(", ")", v)
	case *Dict:
		if err := out.add(m, "{"); err != nil {
			return err
		}
		for i, k := range v.keys {
			if i > 0 {
				out.add(m, ", ")
			}
			if err := m.write(out, k, true); err != nil {
				return err
			}
			out.add(m, ": ")
			if err := m.write(out, v.values[k], true); err != nil {
				return err
			}
		}
		return out.add(m, "}")
	case namespace:
		return out.add(m, "<Namespace>")
	case *macro:
		return out.add(m, "<Macro "+repr(v.node.name)+">")
	}
	return out.add(m, "<function>")
}

func (m *machine) writeAll(out *text, open, closing string, items []any) error {
	if err := out.add(m, open); err != nil {
		return err
	}
	for i, v := range items {
		if i > 0 {
			out.add(m, ", ")
		}
		if err := m.write(out, v, true); err != nil {
			return err
		}
	}
	return out.add(m, closing)
}

// showFloat writes a float as Python's repr does.
func showFloat(x float64) string {
	switch {
	case math.IsInf(x, 1):
		return "inf"
	case math.IsInf(x, -1):
		return "-inf"
	case math.IsNaN(x):
		return "nan"
	}
	if a := math.Abs(x); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// repr quotes a text as Python does.
func repr(s string) string {
	quote := '\''
	if strings.ContainsRune(s, '\'') && !strings.ContainsRune(s, '"') {
		quote = '"'
	}
	var b strings.Builder
	b.WriteRune(quote)
	for _, r := range s {
		switch {
		case r == quote || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0x7f && !unicode.IsPrint(r):
			switch {
			case r < 0x100:
				fmt.Fprintf(&b, `\x%02x`, r)
			case r < 0x10000:
				fmt.Fprintf(&b, `\u%04x`, r)
			default:
				fmt.Fprintf(&b, `\U%08x`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteRune(quote)
	return b.String()
}
