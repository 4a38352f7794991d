package serve

import (
	"strings"
	"testing"
)

func TestFirstWord(t *testing.T) {
	for answer, want := range map[string]string{
		" Paris.\n\nThe Eiffel Tower": "Paris", " New York, and": "New", "": "", " \n": "", " ...": "", "東京です": "東京です", " U.S. history": "U.S",
	} {
		if got := firstWord(answer); got != want {
			t.Errorf("%q: %q, want %q", answer, got, want)
		}
	}
}

// A text comes in pieces that are certain: no half characters, and nothing of a text
// at which it stops.
func TestStreamHoldsBackWhatIsNotCertain(t *testing.T) {
	for _, c := range []struct {
		states []string // of the text, token by token
		stops  []string
		want   string // pieces, with | between
	}{
		{[]string{"a", "ab", "abc"}, nil, "a|b|c"},
		{[]string{"a", "a\ufffd", "aé"}, nil, "a|é"},
		{[]string{"a", "a\ufffd\ufffd", "a\ufffd"}, nil, "a|\ufffd"}, // it never comes
		{[]string{"a", "aE", "aEN", "aENx"}, []string{"END"}, "a|ENx"},
		{[]string{"a", "aE", "aEN", "aEND"}, []string{"END"}, "a"},
		{[]string{"ab xy c"}, []string{"y", "x"}, "ab "},
	} {
		var pieces []string
		s := &stream{stops: c.stops, piece: func(p string) { pieces = append(pieces, p) }}
		for _, text := range c.states {
			if !s.see(text) {
				break
			}
		}
		s.end()
		if got := strings.Join(pieces, "|"); got != c.want {
			t.Errorf("%q: %q, want %q", c.states, got, c.want)
		}
	}
}
