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
