package configs

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// JSONSchema describes the configuration that into, a pointer to a struct holding
// the defaults, can take, as a JSON Schema (draft 2020-12) for editors: types,
// defaults and documentation. A value's allowed words are in its documentation.
func JSONSchema(into any, title string) (map[string]any, error) {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: want a pointer to a struct to describe, got %T", into)
	}
	s, err := newSchema(target.Elem().Type())
	if err != nil {
		return nil, err
	}
	out, err := s.object(s.root.fields, target.Elem())
	if err != nil {
		return nil, err
	}
	out["$schema"], out["title"] = "https://json-schema.org/draft/2020-12/schema", title
	return out, nil
}

// object describes a section of the configuration c.
func (s *schema) object(fields []*field, c reflect.Value) (map[string]any, error) {
	return objectOf(fields, func(f *field) (map[string]any, error) {
		if f.section {
			p, err := s.object(f.fields, c)
			if err == nil && f.typ.Kind() == reflect.Pointer {
				p["type"] = []string{"object", "null"}
			}
			return p, err
		}
		p, err := describe(f.typ, 0)
		if v := s.get(c, f); err == nil && v.IsValid() {
			if d, ok := plainJSON(v); ok {
				p["default"] = d
			}
		}
		return p, err
	})
}

// objectOf is the schema of an object with these fields and no others.
func objectOf(fields []*field, describe func(*field) (map[string]any, error)) (map[string]any, error) {
	properties := map[string]any{}
	for _, f := range fields {
		p, err := describe(f)
		if err != nil {
			return nil, err
		}
		if f.doc != "" {
			p["description"] = f.doc
		}
		properties[f.name] = p
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}, nil
}

// describe is the schema of a value's type.
func describe(t reflect.Type, depth int) (map[string]any, error) {
	if t == durationType {
		return map[string]any{"type": "string", "pattern": `^[0-9.]+(ns|us|µs|ms|s|m|h)([0-9.]+(ns|us|µs|ms|s|m|h))*$`}, nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		inner, err := describe(t.Elem(), depth)
		if err != nil {
			return nil, err
		}
		return map[string]any{"anyOf": []any{inner, map[string]any{"type": "null"}}}, nil
	case reflect.Slice, reflect.Map:
		inner, err := describe(t.Elem(), depth+1)
		if err != nil {
			return nil, err
		}
		if t.Kind() == reflect.Slice {
			return map[string]any{"type": "array", "items": inner}, nil
		}
		return map[string]any{"type": "object", "additionalProperties": inner}, nil
	case reflect.Struct:
		fields, err := elementFields(t, depth)
		if err != nil {
			return nil, err
		}
		return objectOf(fields, func(f *field) (map[string]any, error) { return describe(f.typ, depth+1) })
	case reflect.Bool:
		return map[string]any{"type": "boolean"}, nil
	case reflect.String:
		return map[string]any{"type": "string"}, nil
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}, nil
	}
	return map[string]any{"type": "integer"}, nil
}

// plainJSON is a default that a schema can hold: structs in lists have keys of
// their own, and infinities are no JSON.
func plainJSON(v reflect.Value) (any, bool) {
	if v.Type() == durationType {
		return canonical(v), true
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map:
		return nil, false
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct || v.IsNil() {
			return []any{}, v.IsNil()
		}
	case reflect.Pointer:
		if v.IsNil() {
			return nil, true
		}
		return plainJSON(v.Elem())
	}
	if _, err := json.Marshal(v.Interface()); err != nil {
		return nil, false
	}
	return v.Interface(), true
}
