package text

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn"
)

// Occurrence says which place is meant where a subject stands in its prompt
// more than once: First, Last, or one that At names; with "" it must stand there
// once.
type Occurrence string

// Which of several places.
const (
	First Occurrence = "first"
	Last  Occurrence = "last"
)

// At is the place that begins at a byte of the prompt.
func At(b int) Occurrence { return Occurrence("@" + strconv.Itoa(b)) }

// ParseOccurrence reads first, last, or nothing.
func ParseOccurrence(s string) (Occurrence, error) {
	switch o := Occurrence(s); o {
	case "", First, Last:
		return o, nil
	}
	return "", fmt.Errorf("%q is neither first nor last", s)
}

// Mark is what stands for the subject in a prompt whose place is marked.
const Mark = "{}"

// Place is where a record's subject stands, as far as that needs saying.
func Place(r *data.Edit) Occurrence {
	if at := strings.Index(r.Template, Mark); at >= 0 && strings.Count(r.Prompt, r.Subject) > 1 {
		return At(at)
	}
	return Occurrence(r.Occurrence)
}

// Fill puts the subject in the prompt's marked place, if it has one and the
// subject is given, and says where that is.
func Fill(prompt, subject string) (string, Occurrence, error) {
	subject = strings.TrimSpace(subject)
	switch n := strings.Count(prompt, Mark); {
	case n == 0 || subject == "":
		return prompt, "", nil
	case n > 1:
		return "", "", fmt.Errorf("the prompt %q has %d places for the subject ({}); mark one", prompt, n)
	}
	return strings.Replace(prompt, Mark, subject, 1), At(strings.Index(prompt, Mark)), nil
}

// Find returns where subject stands in prompt as words of its own, in bytes.
// Where it does so more than once, which says which place is meant.
func Find(prompt, subject string, which Occurrence) (lo, hi int, err error) {
	subject = strings.TrimSpace(subject)
	if subject == "" {
		return 0, 0, fmt.Errorf("the subject is empty; name the words of the prompt %q that the fact is about", prompt)
	}
	if b, ok := strings.CutPrefix(string(which), "@"); ok {
		lo, err := strconv.Atoi(b)
		if err != nil || lo < 0 || lo > len(prompt) || !strings.HasPrefix(prompt[lo:], subject) {
			return 0, 0, fmt.Errorf("subject %q does not stand at byte %s of the prompt %q", subject, b, prompt)
		}
		return lo, lo + len(subject), nil
	}
	places := words(prompt, subject)
	switch {
	case len(places) == 0 && strings.Contains(prompt, subject):
		return 0, 0, fmt.Errorf("subject %q stands in the prompt %q only inside of a longer word; name the whole word, or mark the place with {}", subject, prompt)
	case len(places) == 0:
		return 0, 0, fmt.Errorf("subject %q does not stand in the prompt %q; spell it as it stands there", subject, prompt)
	case len(places) == 1 || which == First:
		lo = places[0]
	case which == Last:
		lo = places[len(places)-1]
	default:
		return 0, 0, fmt.Errorf("subject %q stands %d times in the prompt %q; say which is meant (occurrence first or last), or mark the place with {}", subject, len(places), prompt)
	}
	return lo, lo + len(subject), nil
}

// words are the places at which subject stands in s as words of its own.
func words(s, subject string) []int {
	var out []int
	for at := 0; ; {
		i := strings.Index(s[at:], subject)
		if i < 0 {
			return out
		}
		lo := at + i
		hi := lo + len(subject)
		if boundary(s, lo) && boundary(s, hi) {
			out = append(out, lo)
			at = hi
			continue
		}
		_, size := utf8.DecodeRuneInString(s[lo:])
		at = lo + size
	}
}

// boundary tells whether a word may begin or end at byte i of s. Scripts without
// spaces have no other boundaries than those of characters, and Korean puts its
// particles right behind a word.
func boundary(s string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i:])
	if i == 0 || i == len(s) {
		return true
	}
	if unicode.Is(unicode.M, after) {
		return false // it belongs to the character before
	}
	apart := func(r rune) bool {
		letter := unicode.In(r, unicode.L, unicode.M, unicode.N) || r == '_'
		return !letter || !bounded(r) || unicode.Is(unicode.Hangul, r)
	}
	return apart(before) || apart(after)
}

// Subject is the tokens of prompt, as a model is given it, that hold the subject
// where which says.
func Subject(tok tokenizer.Tokenizer, prompt, subject string, which Occurrence) (nn.Range, error) {
	lo, hi, err := Find(prompt, subject, which)
	if err != nil {
		return nn.Range{}, err
	}
	_, spans := Spans(tok, prompt)
	first, end, ok := Range(spans, lo, hi)
	if !ok {
		return nn.Range{}, fmt.Errorf("the subject %q has no tokens of its own in the prompt %q", subject, prompt)
	}
	return nn.Range{Lo: first, Hi: end}, nil
}
