package configs

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

// validator is what a section implements to check its values.
type validator interface{ Validate() error }

// validate calls the Validate methods of c and of all within it.
func (l *loader) validate(c reflect.Value, origins map[string]Origin) {
	read := faults{list: slices.Clone(l.file.faults.list)}
	check := func(v reflect.Value, key string) {
		for _, e := range fieldErrors(callValidate(v)) {
			l.complete(e, c, key, origins)
			if read.about(e.Key) && e.Key != "" {
				continue // it kept its default because it could not be read
			}
			if slices.ContainsFunc(l.file.faults.list, func(o *FieldError) bool { return o.says() == e.says() }) {
				continue // a section and the one around it said so
			}
			l.file.faults.add(e)
		}
	}
	check(c, "")
	var walk func(fields []*field)
	walk = func(fields []*field) {
		for _, f := range fields {
			v := l.schema.get(c, f)
			if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
				continue
			}
			if f.section {
				if v.Kind() == reflect.Pointer {
					v = v.Elem()
				}
				check(v, f.key)
				walk(f.fields)
				continue
			}
			checkElements(v, f.key, check)
			l.checkFinite(v, f.key, c, origins)
		}
	}
	walk(l.schema.root.fields)
}

// checkFinite reports numbers that are not finite, which no setting means.
func (l *loader) checkFinite(v reflect.Value, key string, c reflect.Value, origins map[string]Origin) {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if math.IsInf(v.Float(), 0) || math.IsNaN(v.Float()) {
			e := &FieldError{Key: key, Value: canonical(v), Problem: "is not finite", Fix: "write a number"}
			l.complete(e, c, "", origins)
			l.file.faults.add(e)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			l.checkFinite(v.Elem(), key, c, origins)
		}
	case reflect.Slice:
		for i := range v.Len() {
			l.checkFinite(v.Index(i), fmt.Sprintf("%s[%d]", key, i), c, origins)
		}
	case reflect.Map:
		for _, k := range sortedKeys(v) {
			l.checkFinite(v.MapIndex(k), fmt.Sprintf("%s[%s]", key, k.String()), c, origins)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name, _, err := nameOf(v.Type(), v.Type().Field(i)); err == nil && name != "" {
				l.checkFinite(v.Field(i), join(key, name), c, origins)
			}
		}
	}
}

// checkElements calls check for the structs inside a value, maps in key order.
func checkElements(v reflect.Value, key string, check func(reflect.Value, string)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			checkElements(v.Elem(), key, check)
		}
	case reflect.Slice:
		for i := range v.Len() {
			checkElements(v.Index(i), fmt.Sprintf("%s[%d]", key, i), check)
		}
	case reflect.Map:
		for _, k := range sortedKeys(v) {
			checkElements(v.MapIndex(k), fmt.Sprintf("%s[%s]", key, k.String()), check)
		}
	case reflect.Struct:
		check(v, key)
	}
}

func callValidate(v reflect.Value) error {
	if !v.CanAddr() { // a map's element
		p := reflect.New(v.Type()).Elem()
		p.Set(v)
		v = p
	}
	if c, ok := v.Addr().Interface().(validator); ok {
		return c.Validate()
	}
	return nil
}

// complete makes the key of a section's fault full, and adds value and origin.
func (l *loader) complete(e *FieldError, c reflect.Value, section string, origins map[string]Origin) {
	given := e.Key
	switch {
	case e.Key == "":
		e.Key = section
	case section != "" && !inside(e.Key, section):
		e.Key = join(section, e.Key)
	}
	base := e.Key
	if i := strings.IndexByte(base, '['); i >= 0 {
		base = base[:i]
	}
	f, known := l.schema.find(base)
	if e.Origin == (Origin{}) {
		e.Origin = origins[base]
		if line, ok := l.file.lines[e.Key]; ok && (e.Origin.Layer == FromFile || known && f.section) {
			e.Origin = Origin{Layer: FromFile, Name: l.file.origin.Name, Line: line}
		}
	}
	if e.Value == nil && given != "" && known && !f.section && base == e.Key {
		if v := l.schema.get(c, f); v.IsValid() {
			e.Value = canonical(v)
		}
	}
}
