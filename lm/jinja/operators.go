package jinja

import (
	"fmt"
	"math"
	"strings"
)

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
