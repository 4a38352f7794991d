package configs

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

var (
	wholeNumber = regexp.MustCompile(`^[+-]?[0-9]+$`)
	number      = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
)

// reader turns YAML nodes of one layer into typed values.
type reader struct {
	schema *schema
	faults *faults
	origin Origin         // of the layer; the line comes from the node
	lines  map[string]int // key, also of list elements, to line; the file only
}

// at gives the origin of a node.
func (r *reader) at(n *yaml.Node) Origin {
	o := r.origin
	if o.Layer == FromFile {
		o.Line = n.Line
	}
	return o
}

func (r *reader) fault(n *yaml.Node, key, problem, fix string) {
	e := &FieldError{Key: key, Problem: problem, Fix: fix, Origin: r.at(n)}
	if text := nodeText(n); text != "" {
		e.Value = text
	}
	r.faults.add(e)
}

// value decodes n into a new value of type t; false if faults were found.
func (r *reader) value(n *yaml.Node, t reflect.Type, key string) (reflect.Value, bool) {
	v := reflect.New(t).Elem()
	return v, r.into(n, v, key)
}

func (r *reader) into(n *yaml.Node, v reflect.Value, key string) bool {
	if r.lines != nil {
		r.lines[key] = n.Line
	}
	if !r.plainYAML(n, key) {
		return false
	}
	t := v.Type()
	if isNull(n) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			return true
		}
		r.fault(n, key, "has no value, want "+typeName(t), "write one, or remove the line to keep the default")
		return false
	}
	switch t.Kind() {
	case reflect.Pointer:
		p := reflect.New(t.Elem())
		v.Set(p)
		return r.into(n, p.Elem(), key)
	case reflect.Slice:
		return r.list(n, v, key)
	case reflect.Map:
		return r.table(n, v, key)
	case reflect.Struct:
		return r.element(n, v, key)
	}
	if n.Kind != yaml.ScalarNode {
		r.fault(n, key, "is a "+kindName(n)+", want "+typeName(t), "write a single value")
		return false
	}
	problem, fix := scalar(n, v)
	if problem != "" {
		r.fault(n, key, problem, fix)
	}
	return problem == ""
}

// plainYAML refuses the parts of YAML that make a configuration hard to follow.
func (r *reader) plainYAML(n *yaml.Node, key string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		r.fault(n, key, "is an alias, which is not supported", "write the value out")
	case n.Anchor != "":
		r.fault(n, key, "has an anchor &"+n.Anchor+", which is not supported", "remove it and write each value out")
	case n.Style&yaml.TaggedStyle != 0:
		r.fault(n, key, "has a tag "+n.Tag+", which is not supported", "remove the tag")
	default:
		return true
	}
	return false
}

func (r *reader) list(n *yaml.Node, v reflect.Value, key string) bool {
	if n.Kind != yaml.SequenceNode {
		r.fault(n, key, "is a "+kindName(n)+", want "+typeName(v.Type()), "write it as [a, b] or with one \"- \" line per element")
		return false
	}
	s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	ok := true
	for i, c := range n.Content {
		if r.faults.full() {
			return false
		}
		ok = r.into(c, s.Index(i), fmt.Sprintf("%s[%d]", key, i)) && ok
	}
	v.Set(s)
	return ok
}

func (r *reader) table(n *yaml.Node, v reflect.Value, key string) bool {
	if n.Kind != yaml.MappingNode {
		r.fault(n, key, "is a "+kindName(n)+", want "+typeName(v.Type()), "write it as {name: value} or with one \"name: value\" line each")
		return false
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	ok := r.pairs(n, key, func(name, value *yaml.Node) bool {
		e := reflect.New(v.Type().Elem()).Elem()
		if !r.into(value, e, fmt.Sprintf("%s[%s]", key, name.Value)) {
			return false
		}
		m.SetMapIndex(reflect.ValueOf(name.Value).Convert(v.Type().Key()), e)
		return true
	})
	v.Set(m)
	return ok
}

// element decodes a struct that is an element of a list or a map.
func (r *reader) element(n *yaml.Node, v reflect.Value, key string) bool {
	if n.Kind != yaml.MappingNode {
		r.fault(n, key, "is a "+kindName(n)+", want a section", "write it as name: value lines")
		return false
	}
	fields, err := elementFields(v.Type(), 0)
	if err != nil {
		r.fault(n, key, err.Error(), "")
		return false
	}
	return r.pairs(n, key, func(name, value *yaml.Node) bool {
		for _, f := range fields {
			if f.name == name.Value {
				return r.into(value, v.FieldByIndex(f.index), join(key, f.name))
			}
		}
		r.unknown(name, value, key, names(fields))
		return false
	})
}

// pairs calls fn for each name and value of a mapping and refuses duplicates.
func (r *reader) pairs(n *yaml.Node, prefix string, fn func(name, value *yaml.Node) bool) bool {
	ok := true
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if r.faults.full() {
			return false
		}
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode || !r.plainYAML(name, prefix) {
			if name.Kind != yaml.ScalarNode {
				r.fault(name, prefix, "a key must be a plain name", "write name: value")
			}
			ok = false
			continue
		}
		if first, dup := seen[name.Value]; dup {
			fix := "keep one of the two"
			if first > 0 && r.origin.Layer == FromFile {
				fix = fmt.Sprintf("it is already on line %d: keep one of the two", first)
			}
			r.faults.add(&FieldError{Key: join(prefix, name.Value), Value: textOrNil(value), Problem: "duplicate key", Fix: fix, Origin: r.at(name)})
			ok = false
			continue
		}
		seen[name.Value] = name.Line
		ok = fn(name, value) && ok
	}
	return ok
}

func (r *reader) unknown(name, value *yaml.Node, prefix string, siblings []string) {
	fix := suggest(name.Value, prefix, siblings, r.schema.keys())
	if full := join(prefix, name.Value); strings.Contains(name.Value, ".") {
		if _, ok := r.schema.find(full); ok {
			i := strings.LastIndexByte(name.Value, '.')
			fix = fmt.Sprintf("write %s: on a line of its own below %s:", name.Value[i+1:], name.Value[:i])
		}
	}
	r.faults.add(&FieldError{Key: join(prefix, name.Value), Value: textOrNil(value), Problem: "unknown key", Fix: fix, Origin: r.at(name)})
}

// scalar decodes a plain value; it returns what is wrong and the way out.
func scalar(n *yaml.Node, v reflect.Value) (problem, fix string) {
	t := v.Type()
	isQuoted := n.Style&quoted != 0
	if t.Kind() == reflect.String {
		switch {
		case !isQuoted && n.ShortTag() != "!!str" && n.ShortTag() != "!!timestamp":
			return "is not a string", fmt.Sprintf("put it in quotes: %q", n.Value)
		case !utf8.ValidString(n.Value):
			return "is not valid UTF-8", ""
		}
		v.SetString(n.Value)
		return "", ""
	}
	if isQuoted && t != durationType {
		return "is a quoted string, want " + typeName(t), "remove the quotes"
	}
	switch {
	case t == durationType:
		d, err := time.ParseDuration(n.Value)
		if err != nil {
			return "is not a duration", "write a number with a unit, such as 90s, 5m or 1h30m"
		}
		v.SetInt(int64(d))
	case t.Kind() == reflect.Bool:
		if n.Value != "true" && n.Value != "false" {
			return "is not a truth value", "write true or false"
		}
		v.SetBool(n.Value == "true")
	case v.CanFloat():
		return setFloat(n.Value, v)
	default:
		return setInt(n.Value, v)
	}
	return "", ""
}

func setFloat(text string, v reflect.Value) (problem, fix string) {
	switch {
	case text == ".inf" || text == "+.inf":
		v.SetFloat(math.Inf(1))
		return "", ""
	case text == "-.inf":
		v.SetFloat(math.Inf(-1))
		return "", ""
	case !number.MatchString(text):
		return "is not a number", "write one such as 0.001 or 1e-3"
	}
	f, err := strconv.ParseFloat(text, v.Type().Bits())
	if err != nil {
		return fmt.Sprintf("is beyond a %d-bit number", v.Type().Bits()), "write a smaller one"
	}
	v.SetFloat(f)
	return "", ""
}

func setInt(text string, v reflect.Value) (problem, fix string) {
	if !wholeNumber.MatchString(text) {
		fix = "write digits only, such as 1000"
		if f, err := strconv.ParseFloat(text, 64); err == nil && number.MatchString(text) && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			fix = fmt.Sprintf("write %.0f", f)
		}
		return "is not a whole number", fix
	}
	if v.CanInt() {
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return "is out of range", fmt.Sprintf("at most %d bits fit here", v.Type().Bits())
		}
		v.SetInt(i)
		return "", ""
	}
	if strings.HasPrefix(text, "-") {
		return "is negative", "write a whole number ≥ 0"
	}
	u, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, v.Type().Bits())
	if err != nil {
		return "is out of range", fmt.Sprintf("at most %d bits fit here", v.Type().Bits())
	}
	v.SetUint(u)
	return "", ""
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style&quoted == 0 && n.ShortTag() == "!!null"
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "section"
	case yaml.SequenceNode:
		return "list"
	default:
		return "single value"
	}
}

// nodeText shows a node as a user would recognise it; empty for null.
func nodeText(n *yaml.Node) string {
	switch {
	case isNull(n):
		return ""
	case n.Kind == yaml.AliasNode:
		return "*" + n.Value
	case n.Kind == yaml.ScalarNode && n.Style&quoted != 0:
		return strconv.Quote(n.Value)
	case n.Kind == yaml.ScalarNode:
		return n.Value
	default:
		return nodeCanonical(n, 0)
	}
}

func textOrNil(n *yaml.Node) any {
	if text := nodeText(n); text != "" {
		return text
	}
	return nil
}
