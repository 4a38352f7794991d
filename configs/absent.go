package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// absentTag is the tag of a key that came after the first version: the value, as
// --set would take it, that all configurations had before there was the key.
const absentTag = "absent"

// readAbsent reads the absent tags of a schema. Its errors are mistakes in the
// program.
func (s *schema) readAbsent() error {
	for _, f := range s.values {
		if f.absentText == nil {
			continue
		}
		faults := &faults{}
		r := reader{schema: s, faults: faults}
		leaf, ok := r.text(f, *f.absentText)
		if !ok {
			return fmt.Errorf("config key %s: tag absent: %w", f.key, faults.err())
		}
		f.absent = leaf.value
	}
	return nil
}

// backdate gives keys of the configuration c what they had before they came.
func (s *schema) backdate(c reflect.Value) {
	for _, f := range s.values {
		if f.absent.IsValid() && s.get(c, f).IsValid() {
			s.set(c, f, f.absent)
		}
	}
}

// Backdate gives every key of the configuration into, a pointer to a struct of
// defaults, that has the tag absent:"VALUE" this value: what programs did before
// there was the key, and so what text means that was written without it. Text of
// today's defaults is read over it, as [Options.Saved] does.
func Backdate(into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("config: want a pointer to a struct, got %T", into)
	}
	s, err := newSchema(target.Elem().Type())
	if err != nil {
		return err
	}
	s.backdate(target.Elem())
	return nil
}

// Identity is the JSON of v, a struct without json tags, as encoding/json writes
// it, but without the fields whose value is that of their absent tag and sections
// of nothing else. A hash of it stays the same when a version adds keys, as long
// as they are not used.
func Identity(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := identity(&b, reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func identity(b *bytes.Buffer, v reflect.Value) error {
	for v.IsValid() && (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) && !v.IsNil() {
		v = v.Elem()
	}
	if !v.IsValid() || v.Kind() != reflect.Struct || v.Type().Implements(marshaler) {
		var x any
		if v.IsValid() {
			x = v.Interface()
		}
		text, err := json.Marshal(x)
		b.Write(text)
		return err
	}
	b.WriteByte('{')
	n := 0
	err := identityFields(b, v, &n)
	b.WriteByte('}')
	return err
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// identityFields writes the fields of a struct behind n others.
func identityFields(b *bytes.Buffer, v reflect.Value, n *int) error {
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct {
			if err := identityFields(b, v.Field(i), n); err != nil {
				return err
			}
			continue
		}
		if absent, ok := sf.Tag.Lookup(absentTag); ok && canonical(v.Field(i)) == absent || !sf.IsExported() {
			continue
		}
		var value bytes.Buffer
		if err := identity(&value, v.Field(i)); err != nil {
			return err
		}
		if value.String() == "{}" && v.Field(i).Kind() == reflect.Struct && v.Field(i).NumField() > 0 {
			continue // a section whose keys are all absent
		}
		if *n++; *n > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%q:%s", sf.Name, value.Bytes())
	}
	return nil
}
