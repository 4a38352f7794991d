package ike

import (
	"math"
	"strings"
	"testing"
)

// Scores are compared with the formula computed from counts.
func TestScoresAreOkapiBM25(t *testing.T) {
	texts := []string{"the cat sat on the mat", "a dog sat", "Cats, cats and CATS!", "", "the the the"}
	x := newIndex(texts)
	count := func(text, w string) float64 {
		n := 0.0
		for _, v := range words(text) {
			if v == w {
				n++
			}
		}
		return n
	}
	mean := 0.0
	for _, text := range texts {
		mean += float64(len(words(text))) / float64(len(texts))
	}
	score := func(q, text string) float64 {
		sum := 0.0
		for _, w := range words(q) {
			in := 0.0
			for _, other := range texts {
				if count(other, w) > 0 {
					in++
				}
			}
			f := count(text, w)
			idf := math.Log(1 + (float64(len(texts))-in+0.5)/(in+0.5))
			sum += idf * f * 2.2 / (f + 1.2*(0.25+0.75*float64(len(words(text)))/mean))
		}
		return sum
	}
	for _, q := range append(texts, "the cat", "zebra", "sat sat") {
		got := x.scores(q)
		for i, text := range texts {
			if want := score(q, text); math.Abs(got[i]-want) > 1e-12 {
				t.Errorf("%q for %q: %g, want %g", text, q, got[i], want)
			}
		}
	}
	for i, text := range texts {
		if want := score(text, text); math.Abs(x.own[i]-want) > 1e-12 {
			t.Errorf("%q for itself: %g, want %g", text, x.own[i], want)
		}
	}
}

func TestSimilarityIsAShareOfTheTextsOwnScore(t *testing.T) {
	r := byWords{index: newIndex([]string{"red green blue", "one two three", ""})}
	for _, c := range []struct {
		query string
		check func(s []float64) bool
	}{
		{"red green blue", func(s []float64) bool { return s[0] == 1 && s[1] == 0 && s[2] == 0 }},
		{"so red green blue it is", func(s []float64) bool { return s[0] == 1 }},
		{"red two three", func(s []float64) bool { return s[0] > 0.3 && s[0] < 0.4 && s[1] > 0.6 && s[1] < 0.7 }},
	} {
		s, err := r.similarity(c.query)
		if err != nil || !c.check(s) {
			t.Errorf("%q: %v, %v", c.query, s, err)
		}
	}
}

func TestWordsAreRunsOfLettersAndDigits(t *testing.T) {
	if got := strings.Join(words("Ça va, O'Neil? 42nd — été"), "|"); got != "ça|va|o|neil|42nd|été" {
		t.Errorf("%s", got)
	}
}
