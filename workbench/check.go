package workbench

import (
	"io"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/report"
)

// Checked is what is wrong with a file of edits.
type Checked struct {
	Good    int         `json:"good"`
	Bad     int         `json:"bad"`
	Format  string      `json:"format"`
	Reasons []data.Drop `json:"reasons"`
	Unread  []string    `json:"unread,omitempty"` // keys that the format does not use
	// Conflicts are records of which only one can hold where all are edited.
	Conflicts []edit.Conflict `json:"conflicts,omitempty"`
	Disputed  int             `json:"disputed,omitempty"` // data.Set.Disputed

	Records int `json:"-"` // good and bad
}

// CheckEdits reads a file of edits, or embedded ones, and finds the records that are
// bad, and those that contradict each other.
func CheckEdits(path string, d data.Options) (*Checked, error) {
	d.SkipBad = true
	set, err := LoadEdits(path, d)
	if err != nil {
		return nil, err
	}
	r := &Checked{Good: len(set.Edits), Format: set.Format, Reasons: append([]data.Drop{}, set.Dropped...), Unread: set.Unread, Records: set.Records}
	var requests []edit.Request
	for i := range set.Edits {
		requests = append(requests, edit.Requests(&set.Edits[i])...)
	}
	r.Conflicts, r.Disputed = edit.Conflicts(requests), set.Disputed()
	for _, d := range set.Dropped {
		if d.Bad {
			r.Bad += d.Count
		}
	}
	return r, nil
}

// Print writes it for people.
func (r *Checked) Print(w io.Writer) error {
	p := report.To(w)
	for _, d := range r.Reasons {
		kind := "left out"
		if d.Bad {
			kind = "bad"
		}
		p.Say("%s: %d, first at line %d: %s", kind, d.Count, d.Line, d.Reason)
	}
	if len(r.Unread) > 0 {
		p.Say("not used: %s", strings.Join(r.Unread, ", "))
	}
	const shown = 5
	for _, c := range r.Conflicts[:min(len(r.Conflicts), shown)] {
		p.Say("conflict: records %v", c)
	}
	if n := len(r.Conflicts) - shown; n > 0 {
		p.Say("and %d further conflicts; --json has them", n)
	}
	if r.Disputed > 0 {
		p.Say("%d records have the subject and true answer of another, but another target: of a model that gets them all, one of each holds in other words (--distinct keeps one of a subject)", r.Disputed)
	}
	p.Say("%d good records (format %s), %d bad", r.Good, r.Format, r.Bad)
	return p.Err()
}
