package data

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// SplitBySubject cuts the set into parts that share no subject, one for each
// fraction; fractions are positive and sum to at most 1, and records beyond the
// sum are in no part. Where a subject goes depends on the seed and its name
// alone, so it stays there when records are added, limited or reordered; sizes
// are therefore near the fractions, not equal to them. Edits that are chained
// stay together, with all their subjects. A part without records is an error.
func (s *Set) SplitBySubject(seed uint64, fractions ...float64) ([]*Set, error) {
	sum := 0.0
	for _, p := range fractions {
		if !(p > 0) {
			return nil, fmt.Errorf("split %s: fraction %v is not positive", s.Path, p)
		}
		sum += p
	}
	if len(fractions) == 0 || sum > 1+1e-9 {
		return nil, fmt.Errorf("split %s: the fractions %v must sum to at most 1", s.Path, fractions)
	}
	group := s.subjectGroups()
	parts := make([]*Set, len(fractions))
	for i := range parts {
		part := *s
		part.Edits, part.Dropped, part.Notes = nil, nil, nil
		part.Records, part.Filtered, part.Merged = 0, 0, 0
		parts[i] = &part
	}
	for i := range s.Edits {
		// 53 bits of the hash make a number in [0, 1).
		u := float64(hashKey(seed, "split/"+group(&s.Edits[i]))>>11) / (1 << 53)
		for p, share := range fractions {
			if u -= share; u < 0 || (p == len(fractions)-1 && sum > 1-1e-9) {
				parts[p].Edits = append(parts[p].Edits, s.Edits[i])
				break
			}
		}
	}
	for i, part := range parts {
		if len(part.Edits) == 0 {
			return nil, fmt.Errorf("split %s: part %d of %d has no records: %d records are too few for the fractions %v",
				s.Path, i+1, len(parts), len(s.Edits), fractions)
		}
		part.Records = len(part.Edits)
	}
	return parts, nil
}

// subjectKeys returns the normalised subjects of an edit; one without subject is
// known by its prompt.
func subjectKeys(e *Edit) []string {
	subjects := e.Subjects()
	if len(subjects) == 0 {
		subjects = []string{e.Prompt}
	}
	for i, s := range subjects {
		subjects[i] = normal(s)
	}
	return subjects
}

// normal is a subject as it is compared: without regard to case, width and blanks.
func normal(subject string) string {
	return strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(subject))), " ")
}

// subjectGroups returns a function that names an edit's group: edits whose
// subjects are connected through chains have the same one, which is the least of
// the connected subjects.
func (s *Set) subjectGroups() func(*Edit) string {
	parent := make(map[string]string)
	root := func(k string) string {
		for parent[k] != "" {
			k = parent[k]
		}
		return k
	}
	for i := range s.Edits {
		keys := subjectKeys(&s.Edits[i])
		for _, k := range keys[1:] {
			if a, b := root(keys[0]), root(k); a != b {
				parent[max(a, b)] = min(a, b)
			}
		}
	}
	return func(e *Edit) string { return root(subjectKeys(e)[0]) }
}

// Disjoint reports as an error the subjects that two sets have in common;
// differences of case, width and spacing do not count.
func Disjoint(a, b *Set) error {
	in := make(map[string]bool)
	for i := range a.Edits {
		for _, k := range subjectKeys(&a.Edits[i]) {
			in[k] = true
		}
	}
	var common []string
	for i := range b.Edits {
		for _, k := range subjectKeys(&b.Edits[i]) {
			if in[k] {
				common = append(common, k)
				in[k] = false
			}
		}
	}
	if len(common) == 0 {
		return nil
	}
	n := len(common)
	slices.Sort(common)
	return fmt.Errorf("%s and %s have %d subjects in common: %s", a.Path, b.Path, n, quoteAll(common))
}

// Exclude drops the edits that are about a subject of other, by the rule of
// Disjoint, so that what is tested has not been trained on. Nothing left is an
// error.
func (s *Set) Exclude(other *Set) error {
	held := make(map[string]bool)
	for i := range other.Edits {
		for _, k := range subjectKeys(&other.Edits[i]) {
			held[k] = true
		}
	}
	drop := Drop{Reason: "the subject occurs in " + other.Path}
	s.Edits = slices.DeleteFunc(s.Edits, func(e Edit) bool {
		if !slices.ContainsFunc(subjectKeys(&e), func(k string) bool { return held[k] }) {
			return false
		}
		if drop.Count == 0 {
			drop.Line = e.Source.Line
		}
		drop.Count++
		return true
	})
	if drop.Count > 0 {
		s.Dropped = append(s.Dropped, drop)
	}
	if len(s.Edits) == 0 {
		return fmt.Errorf("%s: every record is about a subject of %s; nothing is left", s.Path, other.Path)
	}
	return nil
}

// Sample returns the set with n of its edits, or all if it has fewer, in file
// order. The choice depends on the seed and the edits' ids alone.
func (s *Set) Sample(n int, seed uint64) *Set {
	out := *s
	type ranked struct {
		rank  uint64
		index int
	}
	all := make([]ranked, len(s.Edits))
	for i := range all {
		all[i] = ranked{hashKey(seed, "sample/"+s.Edits[i].ID), i}
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.index, b.index))
	})
	all = all[:min(max(n, 0), len(all))]
	slices.SortFunc(all, func(a, b ranked) int { return cmp.Compare(a.index, b.index) })
	out.Edits = make([]Edit, len(all))
	for i, r := range all {
		out.Edits[i] = s.Edits[r.index]
	}
	return &out
}
