package data

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"keyhole.example/keyhole/internal/regular"
)

// Document is one article of a plain text.
type Document struct {
	Title      string   // "" for text before the first title
	Paragraphs []string // without section headings
	Line       int      // where it starts, from 1
}

// Documents goes through the articles of a text file, plain or gzip, one at a
// time. In WikiText an article opens with a line " = Title = " between empty
// lines, lines with more equals signs head sections, and every other line that
// is not empty is a paragraph. A text without titles is one document. The first
// error ends the iteration and names file and line; an empty text is one.
func Documents(path string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		f, err := regular.Open(path)
		if err != nil {
			yield(Document{}, fmt.Errorf("open text: %w", err))
			return
		}
		defer f.Close()
		for doc, err := range ReadDocuments(f, path) {
			if !yield(doc, err) {
				return
			}
		}
	}
}

// ReadDocuments is Documents from an open file; name is used in messages.
func ReadDocuments(r io.Reader, name string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		t := &textReader{name: name}
		in, err := newInput(r)
		if err != nil {
			yield(Document{}, fmt.Errorf("%s: %w", name, err))
			return
		}
		t.in = in.Reader
		given := false
		doc := Document{Line: 1}
		for {
			line, err := t.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				yield(Document{}, err)
				return
			}
			if title, level := heading(line); level == 1 && t.isolated() {
				if doc.Title != "" || len(doc.Paragraphs) > 0 {
					given = true
					if !yield(doc, nil) {
						return
					}
				}
				doc = Document{Title: title, Line: t.line}
			} else if level < 2 && line != "" {
				doc.Paragraphs = append(doc.Paragraphs, line)
			}
		}
		switch {
		case doc.Title != "" || len(doc.Paragraphs) > 0:
			yield(doc, nil)
		case !given:
			yield(Document{}, fmt.Errorf("%s: the text is empty", name))
		}
	}
}

// textReader gives trimmed lines and knows whether the last one stood between
// empty lines.
type textReader struct {
	in           *bufio.Reader
	name         string
	line         int
	before, last string
	buf          []byte
}

func (t *textReader) next() (string, error) {
	t.buf = t.buf[:0]
	for {
		part, err := t.in.ReadSlice('\n')
		if len(t.buf)+len(part) > DefaultMaxRecord {
			return "", fmt.Errorf("%s: line %d is longer than %d bytes", t.name, t.line+1, DefaultMaxRecord)
		}
		t.buf = append(t.buf, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && len(t.buf) == 0 {
			return "", io.EOF
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("%s: after line %d: %w", t.name, t.line, gzipError(err))
		}
		break
	}
	t.line++
	if !utf8.Valid(t.buf) {
		return "", fmt.Errorf("%s: line %d: not valid UTF-8", t.name, t.line)
	}
	if bytes.IndexByte(t.buf, 0) >= 0 {
		return "", fmt.Errorf("%s: line %d: holds a zero byte; this is no text", t.name, t.line)
	}
	t.before, t.last = t.last, strings.TrimSpace(string(t.buf))
	return t.last, nil
}

// isolated reports whether the lines before and after the last one are empty.
func (t *textReader) isolated() bool {
	if t.before != "" {
		return false
	}
	after, err := t.in.Peek(2)
	if err != nil && len(after) == 0 {
		return true
	}
	return strings.TrimSpace(string(after)) == ""
}

// heading returns the text of a line like "= = Name = =" and how many equals
// signs it has on each side; the level of other lines is 0.
func heading(line string) (string, int) {
	level := 0
	for len(line) >= 5 && strings.HasPrefix(line, "= ") && strings.HasSuffix(line, " =") {
		line = strings.TrimSpace(line[2 : len(line)-2])
		level++
	}
	if strings.Trim(line, "= ") == "" {
		return line, 0
	}
	return line, level
}
