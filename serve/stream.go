package serve

import (
	"strings"
	"unicode/utf8"

	"keyhole.example/keyhole/lm"
)

// stream gives out a text while its tokens come: whole characters, and nothing
// that may turn out to be the beginning of a text at which it stops.
type stream struct {
	m       *lm.Model
	prompt  []int32
	stops   []string
	piece   func(string)
	out     []int32
	sent    int
	text    string
	stopped bool
}

// add takes a token; false: the text has ended.
func (s *stream) add(id int32) bool {
	s.out = append(s.out, id)
	return s.see(s.m.Continuation(s.prompt, s.out))
}

// see takes the text as it is with all tokens so far.
func (s *stream) see(text string) bool {
	s.text = text
	for _, stop := range s.stops {
		if at := strings.Index(s.text, stop); at >= 0 {
			s.text, s.stopped = s.text[:at], true
		}
	}
	if s.stopped {
		return false
	}
	s.send(len(s.text) - s.held())
	return true
}

// held is how many bytes at the end are not certain yet.
func (s *stream) held() int {
	n := len(s.text) - len(strings.TrimRight(s.text, string(utf8.RuneError))) // the rest of a character is to come
	for _, stop := range s.stops {
		for l := min(len(stop)-1, len(s.text)); l > n; l-- {
			if strings.HasSuffix(s.text, stop[:l]) {
				n = l
			}
		}
	}
	return n
}

func (s *stream) send(to int) {
	if to > s.sent {
		if s.piece != nil {
			s.piece(s.text[s.sent:to])
		}
		s.sent = to
	}
}

// end is the whole text.
func (s *stream) end() string {
	s.send(len(s.text))
	return s.text
}
