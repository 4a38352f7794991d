package data

import (
	"fmt"
	"strings"
	"testing"
)

func TestDocuments(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"articles with sections", " \n = Orvane = \n \n A town .\n \n = = River = = \n \n The Varr .\n It floods .\n \n = Velm = \n \n A city .\n",
			"{Orvane [A town . The Varr . It floods .] 2}{Velm [A city .] 11}"},
		{"a heading among lines is a paragraph", "a\n = b = \nc\n", "{ [a = b = c] 1}"},
		{"no titles", "one\n\ntwo", "{ [one two] 1}"},
		{"an article without text", " = Halt = \n", "{Halt [] 1}"},
		{"an equation", "\n = = = \n", "{ [= = =] 1}"},
		{"empty", " \n\n", "error: f: the text is empty"},
		{"nothing", "", "error: f: the text is empty"},
		{"invalid UTF-8", "a\nb\xff\n", "error: f: line 2: not valid UTF-8"},
		{"a zero byte", "a\x00b", "error: f: line 1: holds a zero byte; this is no text"},
		{"gzip that is cut off", zip(t, strings.Repeat("abc def\n", 99))[:20], "error: f: after line 1: the gzip file is cut off; fetch it again"},
		{"gzip", zip(t, "abc\n"), "{ [abc] 1}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			for d, err := range ReadDocuments(strings.NewReader(c.text), "f") {
				if err != nil {
					got += "error: " + err.Error()
				} else {
					got += fmt.Sprint(d)
				}
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestDocumentsCanBeLeft(t *testing.T) {
	for d := range ReadDocuments(strings.NewReader(" = A = \n \n x\n \n = B = \n \n y\n"), "f") {
		if d.Title != "A" {
			t.Errorf("went on to %q", d.Title)
		}
		break
	}
}
