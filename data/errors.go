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
	where := fmt.Sprintf("%s: line %d (record %d)", e.File, e.Line, e.Index)
	if e.Field != "" {
		where += fmt.Sprintf(": field %q", e.Field)
	}
	return where + ": " + e.Reason
}

// listIndex matches the changing part of a field path, and number the changing
// part of a reason, so that like errors are counted as one.
var (
	listIndex = regexp.MustCompile(`\[\d+\]`)
	number    = regexp.MustCompile(` \d+| "[^"]*"`)
)

func (e *RecordError) group() string {
	reason := number.ReplaceAllString(e.Reason, " …")
	if e.Field == "" {
		return reason
	}
	return fmt.Sprintf("field %q: %s", listIndex.ReplaceAllString(e.Field, "[]"), reason)
}
