package ike

import (
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Constants of BM25, the usual ones (Robertson and Zaragoza 2009).
const (
	bm25K1 = 1.2  // how soon repeating a word stops to count
	bm25B  = 0.75 // how much a text's length counts
)

// index is Okapi BM25 over short texts, with the inverse document frequency
// that is never negative, ln(1 + (N−n+½)/(n+½)):
//
//	score(q, d) = Σ over words w of q: idf(w)·f·(k1+1) / (f + k1·(1−b+b·|d|/mean|d|))
//
// where f is how often w stands in d. docs/decisions/0006-bm25.md says why it
// is not a library.
type index struct {
	postings map[string][]posting
	lengths  []float64 // words by text
	mean     float64
	own      []float64 // a text's score for itself
}

// posting says how often a word stands in a text.
type posting struct {
	text  int
	times float64
}

func newIndex(texts []string) *index {
	x := &index{postings: map[string][]posting{}, lengths: make([]float64, len(texts)), own: make([]float64, len(texts))}
	for i, text := range texts {
		for _, w := range words(text) {
			list := x.postings[w]
			if n := len(list); n == 0 || list[n-1].text != i {
				list = append(list, posting{text: i})
			}
			list[len(list)-1].times++
			x.postings[w] = list
			x.lengths[i]++
		}
		x.mean += x.lengths[i] / float64(len(texts))
	}
	for _, w := range slices.Sorted(maps.Keys(x.postings)) {
		for _, p := range x.postings[w] {
			x.own[p.text] += p.times * x.weight(w, p)
		}
	}
	return x
}

// scores of the query with every text.
func (x *index) scores(query string) []float64 {
	out := make([]float64, len(x.lengths))
	for _, w := range words(query) {
		for _, p := range x.postings[w] {
			out[p.text] += x.weight(w, p)
		}
	}
	return out
}

// weight is what one occurrence of w in a query adds to a text's score.
func (x *index) weight(w string, p posting) float64 {
	n, total := float64(len(x.postings[w])), float64(len(x.lengths))
	idf := math.Log1p((total - n + 0.5) / (n + 0.5))
	return idf * p.times * (bm25K1 + 1) / (p.times + bm25K1*(1-bm25B+bm25B*x.lengths[p.text]/x.mean))
}

// words are the runs of letters and digits of a text, in lower case.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
