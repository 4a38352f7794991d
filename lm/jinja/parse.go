package jinja

import (
	"fmt"
	"slices"
	"strings"
)

// parser reads statements by recursive descent.
type parser struct {
	tokens []token
	at     int
	depth  int
	loops  int
}

func (p *parser) now() token { return p.tokens[p.at] }

// is says whether the next token is an operator, or a name, of that text.
func (p *parser) is(text string) bool {
	t := p.now()
	return (t.kind == operator || t.kind == name) && t.text == text
}

func (p *parser) take(text string) bool {
	if p.is(text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) need(text string) error {
	if p.take(text) {
		return nil
	}
	return p.unexpected(fmt.Sprintf("%q", text))
}

func (p *parser) unexpected(wanted string) error {
	t := p.now()
	if t.kind == end {
		return lineError(t.line, "the template ends where %s should stand", wanted)
	}
	return lineError(t.line, "%q where %s should stand", t.text, wanted)
}

func (p *parser) name() (string, error) {
	if t := p.now(); t.kind == name {
		p.at++
		return t.text, nil
	}
	return "", p.unexpected("a name")
}

// closes takes the end of a tag.
func (p *parser) closes() error {
	if p.now().kind != closeBlock {
		return p.unexpected("the tag's end")
	}
	p.at++
	return nil
}

// deeper counts constructs inside each other.
func (p *parser) deeper() error {
	if p.depth++; p.depth > deepest {
		return lineError(p.now().line, "more than %d constructs inside each other", deepest)
	}
	return nil
}

// statements reads up to a tag that begins with one of ends, whose name it takes,
// or to the template's end where there are none.
func (p *parser) statements(ends ...string) ([]statement, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	var out []statement
	for {
		t := p.now()
		switch t.kind {
		case end:
			if len(ends) > 0 {
				return nil, lineError(t.line, "the template ends where %s should stand", strings.Join(ends, " or "))
			}
			return out, nil
		case data:
			p.at++
			out = append(out, &textStatement{t.text})
		case openOutput:
			p.at++
			x, err := p.tuple(true)
			if err != nil {
				return nil, err
			}
			if p.now().kind != closeOutput {
				return nil, p.unexpected("}}")
			}
			p.at++
			out = append(out, &output{t.line, x})
		case openBlock:
			p.at++
			if n := p.now(); n.kind == name && slices.Contains(ends, n.text) {
				return out, nil
			}
			s, err := p.statement()
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		default:
			return nil, p.unexpected("text or a tag")
		}
	}
}

// body reads what stands between the end of a tag and a tag of name, and takes that.
func (p *parser) body(ends string) ([]statement, error) {
	if err := p.closes(); err != nil {
		return nil, err
	}
	out, err := p.statements(ends)
	if err != nil {
		return nil, err
	}
	p.at++
	if ends == "endblock" && p.now().kind == name {
		p.at++
	}
	return out, p.closes()
}

func (p *parser) statement() (statement, error) {
	line := p.now().line
	tag, err := p.name()
	if err != nil {
		return nil, err
	}
	switch tag {
	case "if":
		return p.conditional()
	case "for":
		return p.loop(line)
	case "set":
		return p.assignment(line)
	case "macro":
		m := &macroNode{}
		if m.name, err = p.name(); err != nil {
			return nil, err
		}
		if err := p.parameters(m); err != nil {
			return nil, err
		}
		m.body, err = p.apart("endmacro")
		return &definition{m}, err
	case "call":
		c := &caller{line: line, macro: &macroNode{name: "caller"}}
		if p.is("(") {
			if err := p.parameters(c.macro); err != nil {
				return nil, err
			}
		}
		if c.value, err = p.expression(); err != nil {
			return nil, err
		}
		if _, ok := c.value.(*call); !ok {
			return nil, lineError(line, "call needs a call")
		}
		c.macro.body, err = p.apart("endcall")
		return c, err
	case "filter":
		f := &filtered{line: line}
		if f.filters, err = p.filterChain(true); err != nil {
			return nil, err
		}
		f.body, err = p.body("endfilter")
		return f, err
	case "with":
		return p.with()
	case "do":
		x, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		return &evaluation{x}, p.closes()
	case "break", "continue":
		if p.loops == 0 {
			return nil, lineError(line, "%s outside a loop", tag)
		}
		return &jump{tag == "continue"}, p.closes()
	case "generation":
		body, err := p.body("endgeneration")
		return &scopeless{body}, err
	case "block":
		if _, err := p.name(); err != nil {
			return nil, err
		}
		body, err := p.body("endblock")
		return &scopeless{body}, err
	case "include", "import", "from", "extends":
		return nil, lineError(line, "%s %q: a chat template stands alone", tag, p.now().text)
	}
	return nil, lineError(line, "unknown tag %q", tag)
}

// apart reads a body that no loop round it can be left from.
func (p *parser) apart(ends string) ([]statement, error) {
	loops := p.loops
	p.loops = 0
	body, err := p.body(ends)
	p.loops = loops
	return body, err
}

func (p *parser) conditional() (statement, error) {
	c := &conditional{}
	for {
		x, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		if err := p.closes(); err != nil {
			return nil, err
		}
		body, err := p.statements("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		c.tests, c.bodies = append(c.tests, x), append(c.bodies, body)
		switch tag, _ := p.name(); tag {
		case "elif":
			continue
		case "else":
			body, err := p.body("endif")
			c.bodies = append(c.bodies, body)
			return c, err
		}
		return c, p.closes()
	}
}

func (p *parser) loop(line int) (statement, error) {
	l := &loop{line: line}
	parens := p.take("(")
	for {
		n, err := p.name()
		if err != nil {
			return nil, err
		}
		l.targets = append(l.targets, n)
		if !p.take(",") {
			break
		}
	}
	if parens {
		if err := p.need(")"); err != nil {
			return nil, err
		}
	}
	if err := p.need("in"); err != nil {
		return nil, err
	}
	var err error
	if l.over, err = p.tuple(false); err != nil {
		return nil, err
	}
	if p.take("if") {
		if l.test, err = p.expression(); err != nil {
			return nil, err
		}
	}
	l.recursive = p.take("recursive")
	if err := p.closes(); err != nil {
		return nil, err
	}
	p.loops++
	l.body, err = p.statements("else", "endfor")
	p.loops--
	if err != nil {
		return nil, err
	}
	if tag, _ := p.name(); tag == "else" {
		l.none, err = p.body("endfor")
		return l, err
	}
	return l, p.closes()
}

func (p *parser) assignment(line int) (statement, error) {
	a := &assignment{line: line}
	parens := p.take("(")
	for {
		n, err := p.name()
		if err != nil {
			return nil, err
		}
		t := target{name: n}
		if p.take(".") {
			if t.attribute, err = p.name(); err != nil {
				return nil, err
			}
		}
		a.targets = append(a.targets, t)
		if !p.take(",") {
			break
		}
	}
	if parens {
		if err := p.need(")"); err != nil {
			return nil, err
		}
	}
	var err error
	if p.take("=") {
		if a.value, err = p.tuple(true); err != nil {
			return nil, err
		}
		return a, p.closes()
	}
	if len(a.targets) > 1 {
		return nil, p.unexpected(`"="`)
	}
	a.block = true
	if a.filters, err = p.filterChain(false); err != nil {
		return nil, err
	}
	a.body, err = p.body("endset")
	return a, err
}

// parameters reads the names of a macro's arguments, with their defaults.
func (p *parser) parameters(m *macroNode) error {
	if err := p.need("("); err != nil {
		return err
	}
	for !p.take(")") {
		n, err := p.name()
		if err != nil {
			return err
		}
		m.names = append(m.names, n)
		if p.take("=") {
			x, err := p.expression()
			if err != nil {
				return err
			}
			m.defaults = append(m.defaults, x)
		} else if len(m.defaults) > 0 {
			return lineError(p.now().line, "an argument without a default behind one that has one")
		}
		if !p.take(",") && !p.is(")") {
			return p.unexpected(`")"`)
		}
	}
	return nil
}

func (p *parser) with() (statement, error) {
	w := &with{}
	for p.now().kind == name {
		n, err := p.name()
		if err != nil {
			return nil, err
		}
		if err := p.need("="); err != nil {
			return nil, err
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		w.names, w.values = append(w.names, n), append(w.values, x)
		if !p.take(",") {
			break
		}
	}
	var err error
	w.body, err = p.body("endwith")
	return w, err
}
