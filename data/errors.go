package data

import (
	"fmt"
	"regexp"
)

// RecordError says what is wrong with one record of a file.
type RecordError struct {
	File   string
	Line   int    // where the record starts, from 1
	Index  int    // of the record, from 0
	Field  string // path of the field, "" for the whole record
	Reason string
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("%s: line %d (record %d): %s", e.File, e.Line, e.Index, e.what())
}

// what is wrong, without the place of the record.
func (e *RecordError) what() string {
	if e.Field == "" {
		return e.Reason
	}
	return fmt.Sprintf("field %q: %s", e.Field, e.Reason)
}

// listIndex matches the changing part of a field path, and number the changing
// part of a reason, so that like errors are counted as one.
var (
	listIndex = regexp.MustCompile(`\[\d+\]`)
	number    = regexp.MustCompile(` \d+| "(?:[^"\\]|\\.)*"`)
)

// group is what without what changes from record to record.
func (e *RecordError) group() string {
	g := RecordError{Field: listIndex.ReplaceAllString(e.Field, "[]"), Reason: number.ReplaceAllString(e.Reason, " …")}
	return g.what()
}
