package eval

import (
	"math"
	"slices"
	"strings"
	"unicode"
)

// terms is a TF-IDF vocabulary: lower-cased words of two or more letters,
// digits or underscores, weighted by ln((1+N)/(1+df)) + 1 over N texts.
type terms struct{ idf map[string]float64 }

// newTerms fits the vocabulary to texts.
func newTerms(texts []string) *terms {
	df := map[string]int{}
	for _, t := range texts {
		seen := map[string]bool{}
		for _, w := range termsOf(t) {
			if !seen[w] {
				seen[w] = true
				df[w]++
			}
		}
	}
	t := &terms{idf: make(map[string]float64, len(df))}
	for w, n := range df {
		t.idf[w] = math.Log(float64(1+len(texts))/float64(1+n)) + 1
	}
	return t
}

func termsOf(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_'
	})
	return slices.DeleteFunc(words, func(w string) bool { return len([]rune(w)) < 2 })
}

// similarity is the cosine of two texts' vectors, 0 if one has no known term.
func (t *terms) similarity(a, b string) float64 {
	va, vb := t.vector(a), t.vector(b)
	dot, na, nb := 0.0, 0.0, 0.0
	for _, w := range sortedKeys(va) {
		dot += va[w] * vb[w]
		na += va[w] * va[w]
	}
	for _, w := range sortedKeys(vb) {
		nb += vb[w] * vb[w]
	}
	if na == 0 || nb == 0 {
		return 0
	}
	return dot / math.Sqrt(na*nb)
}

func (t *terms) vector(text string) map[string]float64 {
	v := map[string]float64{}
	for _, w := range termsOf(text) {
		if idf, ok := t.idf[w]; ok {
			v[w] += idf
		}
	}
	return v
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
