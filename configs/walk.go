package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// leaf is one value on its way through viper's layers. viper hands it on
// unopened, so it can neither fold the case of map keys nor bend types.
type leaf struct {
	value  reflect.Value
	origin Origin
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// Decode reads the file's text. It implements viper's Decoder: out receives
// nested maps whose ends are *leaf. What is wrong goes to r.faults.
func (r *reader) Decode(text []byte, out map[string]any) error {
	root, fault := parseYAML(text)
	if fault != nil {
		fault.Origin = Origin{Layer: FromFile, Name: r.origin.Name, Line: fault.Origin.Line}
		r.faults.add(fault)
		return nil
	}
	if root != nil {
		r.section(root, r.schema.root, out)
	}
	return nil
}

// parseYAML gives the root node of the only document in text, nil if there is
// none.
func parseYAML(text []byte) (*yaml.Node, *FieldError) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxFault(err)
	}
	if err := dec.Decode(&more); err == nil {
		return nil, &FieldError{Problem: "a second document begins here", Fix: "keep one document per file", Origin: Origin{Line: more.Line}}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxFault(err)
	}
	if len(doc.Content) != 1 {
		return nil, nil
	}
	return doc.Content[0], nil
}

func syntaxFault(err error) *FieldError {
	e := &FieldError{Problem: "not valid YAML: " + err.Error(), Fix: "check indentation, colons and quotes around this line"}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		e.Origin.Line, _ = strconv.Atoi(m[1]) // no line in the message: 0, which prints as none
		e.Problem = "not valid YAML: " + m[2]
	}
	return e
}

// section reads the mapping n, whose fields are those of f, into out.
func (r *reader) section(n *yaml.Node, f *field, out map[string]any) {
	if !r.plainYAML(n, f.key) || isNull(n) { // null: all its lines are commented out
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fault(n, f.key, "is a "+kindName(n)+", want a section", "write its keys as indented \"name: value\" lines: "+strings.Join(names(f.fields), ", "))
		return
	}
	r.pairs(n, f.key, func(name, value *yaml.Node) bool {
		for _, c := range f.fields {
			if c.name != name.Value {
				continue
			}
			r.lines[c.key] = name.Line
			if c.section {
				sub := map[string]any{}
				r.section(value, c, sub)
				out[c.name] = sub
			} else if v, ok := r.value(value, c.typ, c.key); ok {
				out[c.name] = &leaf{value: v, origin: r.at(name)}
			}
			return true
		}
		r.unknown(name, value, f.key, names(f.fields))
		return false
	})
}

// text reads the value of f from the text of a --set or of an environment
// variable. Strings are taken as they are, lists may be written a,b.
func (r *reader) text(f *field, text string) (*leaf, bool) {
	n, err := textNode(text, f.typ)
	if err != nil {
		r.faults.add(&FieldError{Key: f.key, Value: text, Problem: err.Error(), Fix: "want " + typeName(f.typ), Origin: r.origin})
		return nil, false
	}
	v, ok := r.value(n, f.typ, f.key)
	return &leaf{value: v, origin: r.origin}, ok
}

func textNode(text string, t reflect.Type) (*yaml.Node, error) {
	switch {
	case t.Kind() == reflect.Pointer && text == "null":
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: text}, nil
	case t.Kind() == reflect.Pointer:
		return textNode(text, t.Elem())
	case t.Kind() == reflect.String:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.DoubleQuotedStyle}, nil
	case t.Kind() == reflect.Slice && !strings.HasPrefix(strings.TrimSpace(text), "["):
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if text == "" {
			return n, nil
		}
		for part := range strings.SplitSeq(text, ",") {
			c, err := textNode(strings.TrimSpace(part), t.Elem())
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, c)
		}
		return n, nil
	}
	root, fault := parseYAML([]byte(text))
	if fault != nil {
		return nil, errors.New(fault.Problem)
	}
	if root == nil {
		return nil, fmt.Errorf("has no value")
	}
	return root, nil
}
