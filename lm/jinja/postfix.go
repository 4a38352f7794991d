package jinja

import (
	"slices"
	"strconv"
)

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
