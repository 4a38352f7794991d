package configs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Layer says by which way a value came in; a later layer overrides an earlier.
type Layer int

// The layers, weakest first.
const (
	FromDefault Layer = iota
	FromFile
	FromEnv
	FromSet
)

// Origin is the place at which a value was given.
type Origin struct {
	Layer Layer
	Name  string // file as it was named by the caller, or environment variable
	Line  int    // 1-based; 0 where there is none
}

// String gives "file:line", "environment NAME", "--set" or "default".
func (o Origin) String() string {
	switch o.Layer {
	case FromFile:
		if o.Line == 0 {
			return o.Name
		}
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	case FromEnv:
		return "environment " + o.Name
	case FromSet:
		return "--set"
	default:
		return "default"
	}
}

// FieldError is one fault of a configuration. A section's Validate method may
// return one, or several through errors.Join, with Key relative to the section
// (or empty for the section as a whole) and Origin left alone: Load fills in
// the full key, the value and the origin.
type FieldError struct {
	Key     string // full key, such as train.steps
	Value   any    // the offending value; nil if there is none to show
	Problem string // what is wrong, lower-case, without the key
	Fix     string // the way out, lower-case; empty if Problem says it
	Origin  Origin
}

// says is the key and what is wrong with it: "a: b: …" of a section is what "a.b: …"
// of the one within it is.
func (e *FieldError) says() string { return join(e.Key, e.Problem) }

// Error gives "file:line: key = value: problem; fix".
func (e *FieldError) Error() string {
	var b strings.Builder
	if e.Origin != (Origin{}) {
		b.WriteString(e.Origin.String() + ": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key)
		if e.Value != nil {
			b.WriteString(" = " + shorten(fmt.Sprint(e.Value)))
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	if e.Fix != "" {
		b.WriteString("; " + e.Fix)
	}
	return b.String()
}

// shorten keeps a message on one readable line however long the value is.
func shorten(s string) string {
	const most = 80
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// maxFaults bounds the report: a file with more is no configuration of ours.
const maxFaults = 100

// faults collects what is wrong with a configuration.
type faults struct {
	list []*FieldError
}

// full reports whether reading on is pointless.
func (f *faults) full() bool { return len(f.list) >= maxFaults }

func (f *faults) add(e *FieldError) { f.list = append(f.list, e) }

// about reports whether key, or a value inside it, is already found faulty.
func (f *faults) about(key string) bool {
	return slices.ContainsFunc(f.list, func(e *FieldError) bool {
		return e.Key == key || inside(e.Key, key)
	})
}

// inside reports whether key names something within outer.
func inside(key, outer string) bool {
	rest, ok := strings.CutPrefix(key, outer)
	return ok && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

// err joins the faults: the file from top to bottom, the environment by name,
// --set as given, then what concerns defaults.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b *FieldError) int {
		return cmp.Or(
			cmp.Compare(rank(a.Origin.Layer), rank(b.Origin.Layer)),
			cmp.Compare(a.Origin.Line, b.Origin.Line),
			cmp.Compare(a.Origin.Name, b.Origin.Name),
		)
	})
	errs := make([]error, len(f.list))
	for i, e := range f.list {
		errs[i] = e
	}
	if f.full() {
		errs = append(errs, errors.New("there may be more; fix these first"))
	}
	return errors.Join(errs...)
}

// rank puts faults of default values, which the user did not write, last.
func rank(l Layer) Layer {
	if l == FromDefault {
		return FromSet + 1
	}
	return l
}

// fieldErrors lists the faults that a Validate method returned, in order.
func fieldErrors(err error) []*FieldError {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var list []*FieldError
		for _, e := range many.Unwrap() {
			list = append(list, fieldErrors(e)...)
		}
		return list
	}
	var fe *FieldError
	if errors.As(err, &fe) {
		c := *fe
		return []*FieldError{&c}
	}
	return []*FieldError{{Problem: err.Error()}}
}
