package configs

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"keyhole.example/keyhole/report"
)

// Row explains one key.
type Row struct {
	Key     string // full key; sites[].name for a key within list elements, sites{}.name within map values
	Type    string // in the words of the error messages
	Default string // canonical YAML; empty for a key within list elements
	Env     string // environment variable; empty for a key within list elements
	Absent  string // its absent tag: what text means that was saved before there was the key; empty if it has none
	Doc     string
}

// Explain lists all keys of the configuration that into, a pointer to a struct
// holding the defaults, can take, in the order of the struct. Keys of an
// optional section that is absent by default have the default "null".
func Explain(into any) ([]Row, error) {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: want a pointer to a struct to explain, got %T", into)
	}
	s, err := newSchema(target.Elem().Type())
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, f := range s.values {
		row := Row{Key: f.key, Type: typeName(f.typ), Default: "null", Env: EnvName(f.key), Doc: f.doc}
		if v := s.get(target.Elem(), f); v.IsValid() {
			row.Default = canonical(v)
		}
		if f.absent.IsValid() {
			row.Absent = canonical(f.absent)
		}
		rows = append(rows, row)
		inner, err := explainElements(f.key, f.typ, 0)
		if err != nil {
			return nil, err
		}
		rows = append(rows, inner...)
	}
	return rows, nil
}

func explainElements(key string, t reflect.Type, depth int) ([]Row, error) {
	switch t.Kind() {
	case reflect.Pointer:
		return explainElements(key, t.Elem(), depth)
	case reflect.Slice:
		return explainElements(key+"[]", t.Elem(), depth)
	case reflect.Map:
		return explainElements(key+"{}", t.Elem(), depth)
	case reflect.Struct:
	default:
		return nil, nil
	}
	fields, err := elementFields(t, depth)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, f := range fields {
		at := join(key, f.name)
		rows = append(rows, Row{Key: at, Type: typeName(f.typ), Doc: f.doc})
		inner, err := explainElements(at, f.typ, depth+1)
		if err != nil {
			return nil, err
		}
		rows = append(rows, inner...)
	}
	return rows, nil
}

// Keys are the keys of the configuration that into, a pointer to its defaults, can take,
// as an override names them.
func Keys(into any) ([]string, error) {
	rows, err := Explain(into)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range rows {
		if !strings.ContainsAny(r.Key, "[{") { // those within elements are set with their list
			out = append(out, r.Key)
		}
	}
	return slices.Compact(out), nil
}

// PrintRows writes rows for people.
func PrintRows(w io.Writer, rows []Row) error {
	p := report.To(w)
	for _, r := range rows {
		p.Say("%s: %s (%s)\n    %s", r.Key, r.Default, r.Type, r.Doc)
	}
	return p.Err()
}

// Pick keeps the keys and sections named, or all if none is.
func Pick(rows []Row, names []string) []Row {
	var out []Row
	for _, r := range rows {
		wanted := len(names) == 0 || slices.ContainsFunc(names, func(n string) bool {
			return r.Key == n || strings.HasPrefix(r.Key, n+".") || strings.HasPrefix(r.Key, n+"[")
		})
		if wanted {
			out = append(out, r)
		}
	}
	return out
}
