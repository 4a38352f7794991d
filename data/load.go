package data

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/internal/regular"
)

// Set is the edits of one file with what was left out of it.
type Set struct {
	Name   string // the file's name without folder and endings
	Path   string
	SHA256 string // of the file as stored, in hex
	Format string // see Formats
	// Records is how many records were read: the edits, those dropped, and those
	// of other splits.
	Records  int
	Filtered int // records of other splits than Options.Split
	Edits    []Edit
	Dropped  []Drop   // records left out, by reason
	Notes    []Drop   // parts left out of kept records, by reason
	Unread   []string // keys that the format does not use, in the order of the file
	// Merged is how many edits got prompts from a neighbours file.
	Merged int
}

// Load reads the edits of a file. The format is found from the content of the
// first records, gzip from the first two bytes; the file's name does not matter.
// A record that cannot be used is a *RecordError that names file, line and field
// unless o.SkipBad is set. A file that holds no usable edit is an error.
func Load(path string, o Options) (*Set, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open data set: %w", err)
	}
	defer f.Close()
	s, err := Read(f, path, o)
	if err != nil {
		return nil, err
	}
	if err := s.AddCompanions(o); err != nil {
		return nil, err
	}
	return s, nil
}

// AddCompanions does what o asks with other files: it leaves out the edits of
// o.Exclude, merges o.Neighbors, and adds the questions of o.Locality.
func (s *Set) AddCompanions(o Options) error {
	for _, other := range o.Exclude {
		held, err := Load(other, o.companion())
		if err != nil {
			return fmt.Errorf("edits to leave out: %w", err)
		}
		if err := s.Exclude(held); err != nil {
			return err
		}
	}
	if o.Neighbors != "" {
		if err := s.MergeNeighbors(o.Neighbors, o); err != nil {
			return err
		}
	}
	if o.Locality != "" {
		pool, err := LoadQuestions(o.Locality, o.companion())
		if err != nil {
			return err
		}
		s.noteCompanion(o.Locality, pool.Dropped)
		s.AddLocality(Unrelated, pool.Items)
	}
	return nil
}

// Read is Load from an open file or an embedded one; name is used in messages.
// It reads no companion files: o.Neighbors, o.Locality and o.Exclude are ignored.
func Read(r io.Reader, name string, o Options) (*Set, error) {
	s := &Set{Name: baseName(name), Path: name}
	ids := newIDs()
	splits := make(map[string]bool)
	about := make(map[string]bool)
	sc := scanner{name: name, o: o, use: wants("Load")}
	sc.take = func(fm Format, f *fields, at Source) bool {
		e := fm.edit(f)
		if f.v.bad != "" || f.v.drop != "" {
			return false
		}
		if o.Split != "" {
			splits[e.Source.Split] = true
			if e.Source.Split != o.Split {
				return false
			}
		}
		at.Split = e.Source.Split
		e.Source = at
		if e.Template == "" {
			e.Template = templateOf(e.Prompt, e.Subject)
		}
		e.settle(o)
		if o.Distinct {
			keys := subjectKeys(&e)
			f.dropIf(slices.ContainsFunc(keys, func(k string) bool { return about[k] }), "an earlier record is about its subject")
			if f.v.drop != "" {
				return false
			}
			for _, k := range keys {
				about[k] = true
			}
		}
		if !ids.give(&e, at.Line, f) {
			return false
		}
		s.Edits = append(s.Edits, e)
		return true
	}
	if err := sc.run(r); err != nil {
		return nil, err
	}
	if len(s.Edits) == 0 {
		return nil, noSplit(name, o.Split, splits)
	}
	s.SHA256, s.Format, s.Records, s.Filtered = sc.sha256, sc.format.Name, sc.records, sc.filtered
	s.Dropped, s.Notes, s.Unread = sc.dropped.list, sc.notes.list, sc.unread
	for i := range s.Edits {
		e := &s.Edits[i]
		e.Source.SHA256 = s.SHA256
		if e.Chain != nil {
			for j := range e.Chain.Edits {
				e.Chain.Edits[j].Source = e.Source
			}
		}
	}
	return s, nil
}

// wants returns a check that files are of a format for one of the Load
// functions.
func wants(reader string) func(Format) error {
	return func(fm Format) error {
		if fm.Reader != reader {
			return fmt.Errorf("these are %s (format %s), for %s; here %s are wanted", holds(fm.Reader), fm.Name, fm.use(), holds(reader))
		}
		return nil
	}
}

func noSplit(name, want string, have map[string]bool) error {
	var names []string
	for n := range have {
		if n != "" {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("%s: split %q was asked for, but the file names no splits", name, want)
	}
	slices.Sort(names)
	return fmt.Errorf("%s: no record is of split %q; there are %s", name, want, strings.Join(names, ", "))
}

// ids keeps the identifiers of a set unique.
type ids struct{ lines map[string]int }

func newIDs() *ids { return &ids{lines: make(map[string]int)} }

// give completes e.ID and the ids of its chain. An id of the file that came
// before is a failure; a made one gets a number.
func (t *ids) give(e *Edit, line int, f *fields) bool {
	if e.ID == "" {
		sum := sha256.Sum256([]byte(e.Subject + "\x00" + e.Prompt + "\x00" + e.TargetNew))
		made := fmt.Sprintf("%x", sum[:6])
		e.ID = made
		for n := 2; t.lines[e.ID] > 0; n++ {
			e.ID = fmt.Sprintf("%s-%d", made, n)
		}
	} else if first := t.lines[e.ID]; first > 0 {
		f.v.fail("", fmt.Sprintf("the id %q is that of line %d already", e.ID, first))
		return false
	}
	t.lines[e.ID] = line
	if e.Chain != nil {
		for i := range e.Chain.Edits {
			next := &e.Chain.Edits[i]
			next.ID = fmt.Sprintf("%s.%d", e.ID, i+1)
			if next.Template == "" {
				next.Template = templateOf(next.Prompt, next.Subject)
			}
		}
	}
	return true
}

// noteCompanion notes what was left out of a companion file.
func (s *Set) noteCompanion(path string, dropped []Drop) {
	for _, d := range dropped {
		d.Reason = path + ": " + d.Reason
		s.Notes = append(s.Notes, d)
	}
}

func baseName(path string) string {
	base := filepath.Base(path)
	for _, ending := range []string{".gz", ".json", ".jsonl", ".txt", ".raw", ".tokens"} {
		base = strings.TrimSuffix(base, ending)
	}
	return base
}

// AddLocality gives each edit without prompts of the kind one prompt of the
// pool. The choice depends on the edit's id and the pool alone.
func (s *Set) AddLocality(kind string, pool []Prompt) {
	if len(pool) == 0 {
		return
	}
	for i := range s.Edits {
		e := &s.Edits[i]
		if len(e.Locality[kind]) == 0 {
			addPrompt(&e.Locality, kind, pool[Choose(0, "locality/"+e.ID, 0, len(pool))])
		}
	}
}

// WriteEdits writes edits as JSON Lines that Load reads again as format
// "keyhole".
func WriteEdits(w io.Writer, edits []Edit) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := range edits {
		if err := enc.Encode(ownRecord{Version: ownVersion, Edit: edits[i]}); err != nil {
			return fmt.Errorf("write edit %s: %w", edits[i].ID, err)
		}
	}
	return nil
}

// UnreadKeys names the keys that the format does not use; "" where it uses all.
func (s *Set) UnreadKeys() string {
	if len(s.Unread) == 0 {
		return ""
	}
	return fmt.Sprintf("(%s): not used: %s", s.Format, strings.Join(s.Unread, ", "))
}
