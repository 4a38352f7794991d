package data

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Options say how a file is read. The zero value reads all records and stops at
// the first bad one.
type Options struct {
	// Format names the format to read the file as; "" detects it.
	Format string
	// SkipBad counts bad records instead of stopping at the first.
	SkipBad bool
	// SkipBadBy is what a user types to set SkipBad, which the error of a bad record
	// then tells; "" where nothing does.
	SkipBadBy string
	// Limit stops after so many kept records; 0 means all.
	Limit int
	// Split keeps the records of one split, where the file names splits
	// (counterfact-flat: train, val, edit).
	Split string
	// Neighbors is the path of a counterfact-neighbors file to merge.
	Neighbors string
	// Locality is the path of a file of questions; each edit without Unrelated
	// prompts gets one of them, chosen by the edit's id.
	Locality string
	// Exclude are paths of files of edits; records about one of their subjects are
	// left out.
	Exclude []string
	// Distinct keeps the first record about each subject, by the rule of Disjoint:
	// where all edits are made of one model, others may contradict it.
	Distinct bool
	// Join and Occurrence are the set's, for records without one of their own.
	Join       Join
	Occurrence string
	// MaxRecord is the most bytes of one record; 0 means DefaultMaxRecord.
	MaxRecord int
}

// Companions are the names of the files that are read beside edits, to be replaced by
// where they are. The list of those whose subjects are left out becomes o's own.
func (o *Options) Companions() []*string {
	o.Exclude = slices.Clone(o.Exclude)
	names := []*string{&o.Neighbors, &o.Locality}
	for i := range o.Exclude {
		names = append(names, &o.Exclude[i])
	}
	return names
}

// companion are the options for files that are read beside the one asked for.
func (o Options) companion() Options {
	return Options{SkipBad: o.SkipBad, SkipBadBy: o.SkipBadBy, MaxRecord: o.MaxRecord}
}

// DefaultMaxRecord is the longest record that is read unless Options say
// otherwise: 64 MiB.
const DefaultMaxRecord = 64 << 20

// Drop counts records that were left out for one reason. Where the reasons of
// bad records differ in names and numbers alone, it is that of the first.
type Drop struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
	Line   int    `json:"first_line"` // of the first such record
	// Bad tells a broken record from one that a rule of its format leaves out.
	Bad bool `json:"bad"`
}

// detectWithin is how many records are looked at to find the format, so that one
// bad record at the top does not hide it.
const detectWithin = 16

// scanner reads the records of one file; it is what all Load functions share.
type scanner struct {
	name string
	o    Options
	// use checks that the format is one that the caller reads.
	use func(Format) error
	// take parses and stores one record; it reports whether the record was kept.
	take func(fm Format, f *fields, at Source) bool

	format   Format
	found    bool
	records  int
	kept     int
	filtered int // left out by take without a reason
	dropped  tally
	notes    tally
	unread   []string // keys that the format's reader does not know
	sha256   string
	seen     map[[16]byte]bool // hashes of the records so far
}

// pending is a record that was read before the format was known.
type pending struct {
	f   *fields
	err error
	at  Source
	sum [16]byte
}

func (s *scanner) run(r io.Reader) error {
	in, err := newInput(r)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if s.o.Limit < 0 || s.o.MaxRecord < 0 {
		return fmt.Errorf("%s: limit %d and longest record %d must not be negative", s.name, s.o.Limit, s.o.MaxRecord)
	}
	if s.o.MaxRecord == 0 {
		s.o.MaxRecord = DefaultMaxRecord
	}
	if s.o.Format != "" {
		if s.format, err = formatByName(s.o.Format); err == nil {
			err = s.use(s.format)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		s.found = true
	}
	if _, err := ParseJoin(string(s.o.Join)); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if !slices.Contains(occurrences(), s.o.Occurrence) {
		return fmt.Errorf("%s: occurrence %q is neither first nor last", s.name, s.o.Occurrence)
	}
	s.seen = make(map[[16]byte]bool)
	if err := s.readAll(in); err != nil {
		if damage := in.damage(); damage != nil {
			return fmt.Errorf("%s: %w", s.name, damage)
		}
		return err
	}
	if s.sha256, err = in.sum(); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	switch {
	case s.records == 0:
		return fmt.Errorf("%s: the file holds no records", s.name)
	case s.kept == 0 && s.filtered > 0:
		return nil // take knows why
	case s.kept == 0:
		return fmt.Errorf("%s: none of %d records can be used; the first at line %d: %s",
			s.name, s.records, s.dropped.list[0].Line, s.dropped.list[0].Reason)
	}
	return nil
}

func (s *scanner) readAll(in *input) error {
	split, err := openRecords(in, s.o.MaxRecord)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	var waiting []pending
	for s.o.Limit == 0 || s.kept < s.o.Limit {
		rec, err := split.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		p := pending{at: Source{File: s.name, Index: s.records, Line: rec.line}}
		s.records++
		if rec.problem != "" {
			p.err = errors.New(rec.problem)
		} else {
			p.f, p.err = parseObject(rec.raw)
			whole := sha256.Sum256(rec.raw)
			copy(p.sum[:], whole[:])
		}
		if s.found {
			if err := s.one(p); err != nil {
				return err
			}
			continue
		}
		waiting = append(waiting, p)
		if p.f != nil {
			s.format, s.found = detect(p.f)
		}
		if s.found || len(waiting) == detectWithin {
			if err := s.settle(waiting); err != nil {
				return err
			}
		}
	}
	if !s.found && len(waiting) > 0 {
		return s.settle(waiting)
	}
	return nil
}

// settle takes the records that waited for the format.
func (s *scanner) settle(waiting []pending) error {
	if !s.found {
		for _, p := range waiting {
			if p.f != nil {
				return unknownFormat(s.name, p.f)
			}
		}
		return s.bad(waiting[0].at, "", waiting[0].err.Error())
	}
	if err := s.use(s.format); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	for _, p := range waiting {
		if s.o.Limit > 0 && s.kept >= s.o.Limit {
			break
		}
		if err := s.one(p); err != nil {
			return err
		}
	}
	return nil
}

// one takes one record, or counts why not, or returns why to stop.
func (s *scanner) one(p pending) error {
	if p.err != nil {
		return s.skip(p.at, "", p.err.Error())
	}
	if s.seen[p.sum] {
		s.dropped.rule("the same record as an earlier one", p.at.Line)
		return nil
	}
	s.seen[p.sum] = true
	p.at.Dataset = s.format.Name
	kept := s.take(s.format, p.f, p.at)
	v := p.f.v
	switch {
	case v.bad != "":
		return s.skip(p.at, v.field, v.bad)
	case v.drop != "":
		s.dropped.rule(v.drop, p.at.Line)
		return nil
	case !kept:
		s.filtered++
		return nil
	}
	s.kept++
	for _, n := range v.notes {
		s.notes.rule(n, p.at.Line)
	}
	for _, k := range v.unread() {
		if !slices.Contains(s.unread, k) {
			s.unread = append(s.unread, k)
		}
	}
	return nil
}

// skip counts a bad record or returns it as the error to stop with.
func (s *scanner) skip(at Source, field, reason string) error {
	if !s.o.SkipBad {
		return s.bad(at, field, reason)
	}
	e := RecordError{Field: field, Reason: reason}
	s.dropped.add(e.group(), Drop{Reason: e.what(), Line: at.Line, Bad: true})
	return nil
}

func (s *scanner) bad(at Source, field, reason string) error {
	e := &RecordError{File: s.name, Line: at.Line, Index: at.Index, Field: field, Reason: reason}
	if s.o.SkipBad || s.o.SkipBadBy == "" {
		return e
	}
	return fmt.Errorf("%w (%s leaves out and counts such records)", e, s.o.SkipBadBy)
}

// tally counts records by group. The first of a group is its example.
type tally struct {
	list   []Drop
	groups []string // like list
}

func (t *tally) add(group string, first Drop) {
	for i := range t.list {
		if t.groups[i] == group && t.list[i].Bad == first.Bad {
			t.list[i].Count++
			return
		}
	}
	first.Count = 1
	t.list, t.groups = append(t.list, first), append(t.groups, group)
}

// rule counts a record that a rule leaves out.
func (t *tally) rule(reason string, line int) { t.add(reason, Drop{Reason: reason, Line: line}) }
