package data

import (
	"strings"
	"testing"
)

func read(t *testing.T, text string) *Set {
	t.Helper()
	s, err := Read(strings.NewReader(text), "f", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSplitsAreDisjointAndStable(t *testing.T) {
	s := read(t, many(1000))
	parts, err := s.SplitBySubject(1, 0.8, 0.1, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for i, p := range parts {
		sum += len(p.Edits)
		for _, q := range parts[:i] {
			if err := Disjoint(p, q); err != nil {
				t.Error(err)
			}
		}
	}
	if sum != 1000 || len(parts[0].Edits) < 750 || len(parts[0].Edits) > 850 {
		t.Errorf("sizes %d, %d, %d", len(parts[0].Edits), len(parts[1].Edits), len(parts[2].Edits))
	}
	place := make(map[string]int)
	for i, p := range parts {
		for _, e := range p.Edits {
			place[e.Subject] = i
		}
	}
	few, err := read(t, many(300)).SplitBySubject(1, 0.8, 0.1, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range few {
		for _, e := range p.Edits {
			if place[e.Subject] != i {
				t.Errorf("%s moved from part %d to %d when there were fewer records", e.Subject, place[e.Subject], i)
			}
		}
	}
}

func TestSpellingsOfASubjectStayTogether(t *testing.T) {
	a := read(t, `{"subject":"Café  Nord","src":"Café  Nord?","alt":"x"}`)
	b := read(t, `{"subject":"CAFE`+"\u0301"+` nord","src":"q","alt":"y"}`)
	err := Disjoint(a, b)
	if err == nil || !strings.Contains(err.Error(), `1 subjects in common: "café nord"`) {
		t.Errorf("got %v", err)
	}
	if err := Disjoint(a, read(t, many(3))); err != nil {
		t.Error(err)
	}
}

func TestChainedEditsStayTogether(t *testing.T) {
	link := func(i, j string) Edit {
		return Edit{ID: i, Subject: i, Prompt: i, TargetNew: "t", Chain: &Chain{Edits: []Edit{{Subject: j, Prompt: j}}}}
	}
	var s Set
	for _, pair := range []string{"ab", "cd", "bc", "ef", "gh", "ij", "kl", "mn", "op", "qr"} {
		s.Edits = append(s.Edits, link(pair[:1], pair[1:]))
	}
	for seed := range uint64(20) {
		parts, err := s.SplitBySubject(seed, 0.5, 0.5)
		if err != nil {
			continue // a part got none: ten records are few
		}
		if err := Disjoint(parts[0], parts[1]); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func TestSplitRefusesImpossibleFractions(t *testing.T) {
	s := read(t, many(2))
	for _, f := range [][]float64{nil, {0.5, 0.6}, {1, 0}, {-0.1}, {0.3, 0.3, 0.4}} {
		if _, err := s.SplitBySubject(1, f...); err == nil {
			t.Errorf("%v was accepted", f)
		}
	}
}

func TestSampleDependsOnIDsAlone(t *testing.T) {
	s := read(t, many(100))
	lines := strings.SplitAfter(strings.TrimSpace(many(100)), "\n")
	reversed := ""
	for _, l := range lines {
		reversed = strings.TrimSpace(l) + "\n" + reversed
	}
	want := make(map[string]bool)
	for _, e := range s.Sample(10, 5).Edits {
		want[e.ID] = true
	}
	got := read(t, reversed).Sample(10, 5)
	for _, e := range got.Edits {
		if !want[e.ID] {
			t.Errorf("%s is in the sample of the reversed file only", e.ID)
		}
	}
	if len(want) != 10 || len(got.Edits) != 10 || len(s.Sample(1000, 5).Edits) != 100 {
		t.Errorf("sizes %d, %d", len(want), len(got.Edits))
	}
}
