package data

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Summary counts what a Set holds.
type Summary struct {
	Name      string `json:"name"`
	Path      string `json:"path"`
	Format    string `json:"format"`
	SHA256    string `json:"sha256"`
	Records   int    `json:"records"` // read
	Edits     int    `json:"edits"`   // kept
	Filtered  int    `json:"other_splits"`
	Subjects  int    `json:"subjects"`  // distinct
	Relations int    `json:"relations"` // distinct relation ids
	// Templates is how many edits have their subject in the prompt exactly once.
	Templates   int            `json:"templates"`
	Conflicts   int            `json:"conflicts"` // prompts with more than one target
	Disputed    int            `json:"disputed"`  // Set.Disputed
	Paraphrases int            `json:"paraphrases"`
	Reverse     int            `json:"reverse"`
	Chained     int            `json:"chained"` // edits that others of their case follow
	Merged      int            `json:"merged"`
	Locality    map[string]int `json:"locality"`    // prompts by kind
	Portability map[string]int `json:"portability"` // prompts by kind
	Splits      map[string]int `json:"splits"`      // edits by split
	Dropped     []Drop         `json:"dropped"`
	Notes       []Drop         `json:"notes"`
	Unread      []string       `json:"unread,omitempty"` // keys that are not used
}

// Summary counts the set's edits and what was left out.
func (s *Set) Summary() Summary {
	out := Summary{
		Name: s.Name, Path: s.Path, Format: s.Format, SHA256: s.SHA256, Records: s.Records,
		Edits: len(s.Edits), Filtered: s.Filtered, Merged: s.Merged,
		Locality: make(map[string]int), Portability: make(map[string]int), Splits: make(map[string]int),
		Dropped: s.Dropped, Notes: s.Notes, Unread: s.Unread,
	}
	subjects, relations := make(map[string]bool), make(map[string]bool)
	targets := make(map[string]string)
	conflicts := make(map[string]bool)
	for i := range s.Edits {
		e := &s.Edits[i]
		if e.Subject != "" {
			subjects[e.Subject] = true
		}
		if e.RelationID != "" {
			relations[e.RelationID] = true
		}
		if e.Template != "" {
			out.Templates++
		}
		if t, seen := targets[e.Prompt]; seen && t != e.TargetNew {
			conflicts[e.Prompt] = true
		}
		targets[e.Prompt] = e.TargetNew
		out.Paraphrases += len(e.Paraphrases)
		out.Reverse += len(e.Reverse)
		if e.Chain != nil && len(e.Chain.Edits) > 0 {
			out.Chained++
		}
		if e.Source.Split != "" {
			out.Splits[e.Source.Split]++
		}
		for kind, p := range e.Locality {
			out.Locality[kind] += len(p)
		}
		for kind, p := range e.Portability {
			out.Portability[kind] += len(p)
		}
	}
	out.Subjects, out.Relations, out.Conflicts, out.Disputed = len(subjects), len(relations), len(conflicts), s.Disputed()
	return out
}

// Disputed is how many edits are of a fact that another edit of the set makes
// something else of: the same subject, relation (if the file names them) and true
// answer, so that both ask the same in whatever words, but another target. Where all
// edits are made of one model, one of them cannot hold in other words.
func (s *Set) Disputed() int {
	type fact struct{ subject, relation, answer string }
	targets := make(map[fact]map[string]bool)
	each := func(do func(e *Edit, f fact)) {
		for i := range s.Edits {
			e := &s.Edits[i]
			for _, answer := range e.TargetTrue {
				if e.Subject != "" {
					do(e, fact{normal(e.Subject), e.RelationID, strings.TrimSpace(answer)})
				}
			}
		}
	}
	each(func(e *Edit, f fact) {
		if targets[f] == nil {
			targets[f] = make(map[string]bool)
		}
		targets[f][strings.TrimSpace(e.TargetNew)] = true
	})
	disputed := make(map[*Edit]bool)
	each(func(e *Edit, f fact) {
		if len(targets[f]) > 1 {
			disputed[e] = true
		}
	})
	return len(disputed)
}

// String is the summary as a few lines of text.
func (m Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %d edits of %d records, %d subjects", m.Path, m.Format, m.Edits, m.Records, m.Subjects)
	if m.Relations > 0 {
		fmt.Fprintf(&b, ", %d relations", m.Relations)
	}
	fmt.Fprintf(&b, "\n  subject in prompt once: %d; paraphrases: %d", m.Templates, m.Paraphrases)
	if m.Reverse > 0 {
		fmt.Fprintf(&b, "; reverse: %d", m.Reverse)
	}
	if m.Chained > 0 {
		fmt.Fprintf(&b, "; cases of several edits: %d", m.Chained)
	}
	if m.Conflicts > 0 {
		fmt.Fprintf(&b, "; prompts with more than one target: %d", m.Conflicts)
	}
	if m.Disputed > 0 {
		fmt.Fprintf(&b, "; edits whose subject and true answer another has, with another target: %d", m.Disputed)
	}
	if m.Merged > 0 {
		fmt.Fprintf(&b, "; edits with prompts from the neighbours file: %d", m.Merged)
	}
	b.WriteByte('\n')
	counts(&b, "splits", m.Splits)
	counts(&b, "locality", m.Locality)
	counts(&b, "portability", m.Portability)
	if m.Filtered > 0 {
		fmt.Fprintf(&b, "  records of other splits: %d\n", m.Filtered)
	}
	for _, d := range m.Dropped {
		what := "left out"
		if d.Bad {
			what = "bad"
		}
		fmt.Fprintf(&b, "  %s: %d, first at line %d: %s\n", what, d.Count, d.Line, d.Reason)
	}
	for _, d := range m.Notes {
		fmt.Fprintf(&b, "  parts left out: %d, first at line %d: %s\n", d.Count, d.Line, d.Reason)
	}
	if len(m.Unread) > 0 {
		fmt.Fprintf(&b, "  keys that are not used: %s\n", quoteAll(m.Unread))
	}
	return b.String()
}

func counts(b *strings.Builder, title string, m map[string]int) {
	if len(m) == 0 {
		return
	}
	fmt.Fprintf(b, "  %s:", title)
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, " %s %d", k, m[k])
	}
	b.WriteByte('\n')
}
