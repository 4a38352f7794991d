package jinja

import (
	"slices"
	"strconv"
)

// tuple reads an expression, or several behind commas.
func (p *parser) tuple(condition bool) (expression, error) {
	one := p.expression
	if !condition {
		one = p.or
	}
	x, err := one()
	if err != nil || !p.is(",") {
		return x, err
	}
	items := []expression{x}
	for p.take(",") {
		if t := p.now(); t.kind == closeBlock || t.kind == closeOutput || p.is(")") {
			break
		}
		if x, err = one(); err != nil {
			return nil, err
		}
		items = append(items, x)
	}
	return &listOf{items, true}, nil
}

// expression reads x if y else z, and what binds closer.
func (p *parser) expression() (expression, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	x, err := p.or()
	for err == nil && p.take("if") {
		c := &choice{yes: x}
		if c.test, err = p.or(); err != nil {
			return nil, err
		}
		if p.take("else") {
			if c.no, err = p.expression(); err != nil {
				return nil, err
			}
		}
		x = c
	}
	return x, err
}

// left reads operators that bind to the left. A chain of them counts as
// constructs inside each other, as which it is computed.
func (p *parser) left(next func() (expression, error), ops ...string) (expression, error) {
	x, err := next()
	depth := p.depth
	defer func() { p.depth = depth }()
	for err == nil {
		t := p.now()
		if t.kind != operator && t.kind != name || !slices.Contains(ops, t.text) {
			break
		}
		if err := p.deeper(); err != nil {
			return nil, err
		}
		p.at++
		var y expression
		if y, err = next(); err != nil {
			return nil, err
		}
		x = &binary{t.text, x, y}
	}
	return x, err
}

func (p *parser) or() (expression, error)  { return p.left(p.and, "or") }
func (p *parser) and() (expression, error) { return p.left(p.not, "and") }

func (p *parser) not() (expression, error) {
	if !p.take("not") {
		return p.compare()
	}
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	x, err := p.not()
	return &unary{"not", x}, err
}

func (p *parser) compare() (expression, error) {
	x, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := &compare{x: x}
	for {
		t := p.now()
		op := t.text
		switch {
		case t.kind == operator && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, op):
			p.at++
		case t.kind == name && op == "in":
			p.at++
		case t.kind == name && op == "not" && p.tokens[p.at+1].kind == name && p.tokens[p.at+1].text == "in":
			p.at += 2
			op = "not in"
		default:
			if len(c.ops) == 0 {
				return x, nil
			}
			return c, nil
		}
		y, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.ops, c.ys = append(c.ops, op), append(c.ys, y)
	}
}

func (p *parser) sum() (expression, error)     { return p.left(p.joined, "+", "-") }
func (p *parser) joined() (expression, error)  { return p.left(p.product, "~") }
func (p *parser) product() (expression, error) { return p.left(p.power, "*", "/", "//", "%") }
func (p *parser) power() (expression, error) {
	return p.left(func() (expression, error) { return p.unary(true) }, "**")
}

// unary reads a sign or a value; filters and tests bind to the whole of it.
func (p *parser) unary(filters bool) (expression, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	var x expression
	var err error
	switch {
	case p.take("-"):
		x, err = p.unary(false)
		x = &unary{"-", x}
	case p.take("+"):
		x, err = p.unary(false)
		x = &unary{"+", x}
	default:
		x, err = p.primary()
	}
	depth := p.depth
	defer func() { p.depth = depth }()
	if err == nil {
		x, err = p.postfix(x)
	}
	if err == nil && filters {
		x, err = p.filters(x)
	}
	return x, err
}

func (p *parser) primary() (expression, error) {
	t := p.now()
	switch t.kind {
	case name:
		p.at++
		switch t.text {
		case "true", "True":
			return &constant{true}, nil
		case "false", "False":
			return &constant{false}, nil
		case "none", "None":
			return &constant{nil}, nil
		}
		return &variable{t.text, t.line}, nil
	case str:
		s := ""
		for p.now().kind == str {
			s += p.now().text
			p.at++
		}
		return &constant{s}, nil
	case integer:
		p.at++
		n, err := strconv.Atoi(t.text)
		if err != nil {
			return nil, lineError(t.line, "%s is too large a number", t.text)
		}
		return &constant{n}, nil
	case float:
		p.at++
		x, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return nil, lineError(t.line, "%s is too large a number", t.text)
		}
		return &constant{x}, nil
	}
	switch {
	case p.take("("):
		if p.take(")") {
			return &listOf{nil, true}, nil
		}
		x, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		return x, p.need(")")
	case p.take("["):
		items, err := p.list("]")
		return &listOf{items, false}, err
	case p.take("{"):
		d := &dictOf{}
		for !p.take("}") {
			k, err := p.expression()
			if err != nil {
				return nil, err
			}
			if err := p.need(":"); err != nil {
				return nil, err
			}
			v, err := p.expression()
			if err != nil {
				return nil, err
			}
			d.keys, d.values = append(d.keys, k), append(d.values, v)
			if !p.take(",") && !p.is("}") {
				return nil, p.unexpected(`"}"`)
			}
		}
		return d, nil
	}
	return nil, p.unexpected("an expression")
}

// list reads expressions up to closing.
func (p *parser) list(closing string) ([]expression, error) {
	var out []expression
	for !p.take(closing) {
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		out = append(out, x)
		if !p.take(",") && !p.is(closing) {
			return nil, p.unexpected(strconv.Quote(closing))
		}
	}
	return out, nil
}

// postfix reads attributes, items, slices and calls.
func (p *parser) postfix(x expression) (expression, error) {
	for {
		line := p.now().line
		switch {
		case p.is("."), p.is("["), p.is("("):
			if err := p.deeper(); err != nil {
				return nil, err
			}
		}
		switch {
		case p.take("."):
			t := p.now()
			p.at++
			switch t.kind {
			case name:
				x = &attribute{x, t.text}
			case integer:
				n, _ := strconv.Atoi(t.text)
				x = &item{x, &constant{n}}
			default:
				p.at--
				return nil, p.unexpected("a name")
			}
		case p.take("["):
			var err error
			if x, err = p.subscript(x); err != nil {
				return nil, err
			}
		case p.is("("):
			c := &call{line: line, x: x}
			if err := p.arguments(c); err != nil {
				return nil, err
			}
			x = c
		default:
			return x, nil
		}
	}
}

func (p *parser) subscript(x expression) (expression, error) {
	var parts [3]expression
	n := 0
	for ; n < 3; n++ {
		if !p.is(":") && !p.is("]") {
			var err error
			if parts[n], err = p.tuple(true); err != nil {
				return nil, err
			}
		}
		if !p.take(":") {
			break
		}
	}
	if err := p.need("]"); err != nil {
		return nil, err
	}
	if n == 0 {
		if parts[0] == nil {
			return nil, lineError(p.now().line, "[] holds nothing")
		}
		return &item{x, parts[0]}, nil
	}
	return &slice{x, parts[0], parts[1], parts[2]}, nil
}

// arguments reads what stands in the parentheses of a call.
func (p *parser) arguments(c *call) error {
	if err := p.need("("); err != nil {
		return err
	}
	for !p.take(")") {
		if t := p.now(); t.kind == name && p.tokens[p.at+1].kind == operator && p.tokens[p.at+1].text == "=" {
			p.at += 2
			x, err := p.expression()
			if err != nil {
				return err
			}
			c.names, c.named = append(c.names, t.text), append(c.named, x)
		} else {
			x, err := p.expression()
			if err != nil {
				return err
			}
			c.args = append(c.args, x)
		}
		if !p.take(",") && !p.is(")") {
			return p.unexpected(`")"`)
		}
	}
	return nil
}

// filters reads | filter, is test and calls of what they give.
func (p *parser) filters(x expression) (expression, error) {
	for {
		switch {
		case p.is("|"), p.is("is"), p.is("("):
			if err := p.deeper(); err != nil {
				return nil, err
			}
		}
		line := p.now().line
		switch {
		case p.take("|"):
			f := &filter{call{line: line, x: x}}
			if err := p.named(&f.call, isFilter); err != nil {
				return nil, err
			}
			x = f
		case p.take("is"):
			t := &test{call: call{line: line, x: x}, not: p.take("not")}
			if err := p.named(&t.call, isTest); err != nil {
				return nil, err
			}
			x = t
			n := p.now()
			argument := n.kind == str || n.kind == integer || n.kind == float || p.is("[") || p.is("{") ||
				n.kind == name && !slices.Contains([]string{"else", "or", "and", "is", "if", "in", "not"}, n.text)
			if len(t.args) == 0 && argument {
				a, err := p.primary()
				if err == nil {
					a, err = p.postfix(a)
				}
				if err != nil {
					return nil, err
				}
				t.args = []expression{a}
			}
		case p.is("("):
			c := &call{line: line, x: x}
			if err := p.arguments(c); err != nil {
				return nil, err
			}
			x = c
		default:
			return x, nil
		}
	}
}

// named reads the name and arguments of a filter or test.
func (p *parser) named(c *call, known func(string) bool) error {
	var err error
	if c.name, err = p.name(); err != nil {
		return err
	}
	if !known(c.name) {
		return lineError(c.line, "unknown filter or test %q", c.name)
	}
	if p.is("(") {
		return p.arguments(c)
	}
	return nil
}

// filterChain reads filters alone; where first is set, the first has no bar.
func (p *parser) filterChain(first bool) ([]call, error) {
	var out []call
	for first || p.take("|") {
		first = false
		c := call{line: p.now().line}
		if err := p.named(&c, isFilter); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func isFilter(name string) bool { _, ok := filterNamed(name); return ok }
func isTest(name string) bool   { return tests[name] != nil }
