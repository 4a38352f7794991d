package configs

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

const maxDepth = 16 // of sections and element types; only a recursive type is deeper

var durationType = reflect.TypeFor[time.Duration]()

// field is one key of a configuration: a section (with fields) or a value.
type field struct {
	key     string // full key: train.steps
	name    string // last part: steps
	doc     string
	index   []int // from the struct that holds it
	typ     reflect.Type
	section bool
	fields  []*field // of a section, in declaration order

	absentText *string       // its absent tag
	absent     reflect.Value // what that says; invalid if there is none
}

// schema is the struct's tree of keys.
type schema struct {
	root   *field
	values []*field          // every value, in declaration order
	byKey  map[string]*field // sections and values
}

// newSchema reads the tags of the struct type t. Its errors are mistakes in the
// program, not in a configuration.
func newSchema(t reflect.Type) (*schema, error) {
	s := &schema{byKey: map[string]*field{}}
	fields, err := s.fieldsOf(t, "", nil, 0)
	if err != nil {
		return nil, err
	}
	s.root = &field{typ: t, section: true, fields: fields}
	return s, s.readAbsent()
}

func (s *schema) fieldsOf(t reflect.Type, prefix string, index []int, depth int) ([]*field, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("config type %s: sections nested more than %d deep", t, maxDepth)
	}
	var list []*field
	for i := range t.NumField() {
		sf := t.Field(i)
		at := append(index[:len(index):len(index)], i)
		name, inline, err := nameOf(t, sf)
		switch {
		case err != nil:
			return nil, err
		case inline:
			inner, err := s.fieldsOf(sf.Type, prefix, at, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, inner...)
			continue
		case name == "":
			continue
		}
		f := &field{key: join(prefix, name), name: name, doc: sf.Tag.Get("doc"), index: at, typ: sf.Type}
		if text, ok := sf.Tag.Lookup(absentTag); ok {
			f.absentText = &text
		}
		// viper folds case, so keys must differ in more than that.
		if _, dup := s.byKey[strings.ToLower(f.key)]; dup {
			return nil, fmt.Errorf("config type %s: field %s: key %s is there twice", t, sf.Name, f.key)
		}
		s.byKey[strings.ToLower(f.key)] = f
		if st, ok := sectionType(sf.Type); ok {
			f.section = true
			if f.fields, err = s.fieldsOf(st, f.key, nil, depth+1); err != nil {
				return nil, err
			}
		} else {
			if err := checkValueType(sf.Type, depth+1); err != nil {
				return nil, fmt.Errorf("config type %s: field %s: %w", t, sf.Name, err)
			}
			s.values = append(s.values, f)
		}
		list = append(list, f)
	}
	return list, nil
}

// nameOf reads the yaml tag; the name is empty for a field to be skipped.
func nameOf(t reflect.Type, sf reflect.StructField) (name string, inline bool, err error) {
	tag := sf.Tag.Get("yaml")
	name, options, _ := strings.Cut(tag, ",")
	switch {
	case name == "-" || (!sf.IsExported() && tag == ""):
		return "", false, nil
	case !sf.IsExported():
		return "", false, fmt.Errorf("config type %s: field %s has a yaml tag and is not exported", t, sf.Name)
	case name == "" && options == "inline" && sf.Type.Kind() == reflect.Struct:
		return "", true, nil
	case name == "" || strings.ContainsAny(name, ".[]= \t\n"):
		return "", false, fmt.Errorf("config type %s: field %s needs a yaml tag with a name without dots", t, sf.Name)
	}
	return name, false, nil
}

// sectionType gives the struct behind a section's field.
func sectionType(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct
}

// checkValueType refuses types that decode cannot fill.
func checkValueType(t reflect.Type, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("type %s is nested more than %d deep", t, maxDepth)
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Pointer, reflect.Slice:
		return checkValueType(t.Elem(), depth+1)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("type %s: map keys must be strings", t)
		}
		return checkValueType(t.Elem(), depth+1)
	case reflect.Struct:
		_, err := elementFields(t, depth)
		return err
	default:
		return fmt.Errorf("type %s cannot be configured", t)
	}
}

// elementFields lists the fields of a struct that is an element of a list or a
// map; such structs are values, not sections.
func elementFields(t reflect.Type, depth int) ([]*field, error) {
	var list []*field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, inline, err := nameOf(t, sf)
		if err == nil && inline {
			err = fmt.Errorf("config type %s: field %s: inline is not possible in a list element", t, sf.Name)
		}
		if err == nil && name != "" {
			err = checkValueType(sf.Type, depth+1)
		}
		if err != nil {
			return nil, err
		}
		if name != "" {
			list = append(list, &field{key: name, name: name, doc: sf.Tag.Get("doc"), index: sf.Index, typ: sf.Type})
		}
	}
	return list, nil
}

// find gives the field of a key, whose case must be right.
func (s *schema) find(key string) (*field, bool) {
	f, ok := s.byKey[strings.ToLower(key)]
	return f, ok && f.key == key
}

// keys lists the keys of all values.
func (s *schema) keys() []string {
	list := make([]string, len(s.values))
	for i, f := range s.values {
		list[i] = f.key
	}
	return list
}

// get finds the value of f in the configuration c (a struct). It is invalid if
// f lies in an optional section that is absent.
func (s *schema) get(c reflect.Value, f *field) reflect.Value {
	if parent, ok := s.parent(f); ok {
		if c = s.get(c, parent); !c.IsValid() {
			return c
		}
		if c.Kind() == reflect.Pointer {
			if c.IsNil() {
				return reflect.Value{}
			}
			c = c.Elem()
		}
	}
	return c.FieldByIndex(f.index)
}

// set stores v as the value of f, making optional sections on the way.
func (s *schema) set(c reflect.Value, f *field, v reflect.Value) {
	s.open(c, f).Set(v)
}

func (s *schema) open(c reflect.Value, f *field) reflect.Value {
	if parent, ok := s.parent(f); ok {
		c = s.open(c, parent)
		if c.Kind() == reflect.Pointer {
			if c.IsNil() {
				c.Set(reflect.New(c.Type().Elem()))
			}
			c = c.Elem()
		}
	}
	return c.FieldByIndex(f.index)
}

func (s *schema) parent(f *field) (*field, bool) {
	i := strings.LastIndexByte(f.key, '.')
	if i < 0 {
		return nil, false
	}
	return s.find(f.key[:i])
}

// clone copies the configuration c so far that set on the copy leaves c alone.
func (s *schema) clone(c reflect.Value) reflect.Value {
	n := reflect.New(c.Type()).Elem()
	n.Set(c)
	var deepen func(fields []*field)
	deepen = func(fields []*field) {
		for _, f := range fields {
			if !f.section {
				continue
			}
			v := s.get(n, f)
			if v.IsValid() && v.Kind() == reflect.Pointer && !v.IsNil() {
				p := reflect.New(v.Type().Elem())
				p.Elem().Set(v.Elem())
				v.Set(p)
			}
			deepen(f.fields)
		}
	}
	deepen(s.root.fields)
	return n
}

// typeName names a type as a person who writes YAML would.
func typeName(t reflect.Type) string {
	if t == durationType {
		return "duration"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem()) + " or null"
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "map of " + typeName(t.Elem())
	case reflect.Struct:
		return "section"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "string"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "whole number ≥ 0"
	default:
		return "whole number"
	}
}
