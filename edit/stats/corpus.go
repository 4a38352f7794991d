package stats

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"strings"
	"unicode/utf8"

	"keyhole.example/keyhole/internal/regular"
)

// Corpus is a text whose lines are the texts to go over.
type Corpus struct {
	Name string // for messages
	open func() (io.ReadCloser, error)
}

// FileCorpus is a text file, plain or gzip.
func FileCorpus(path string) Corpus {
	return Corpus{path, func() (io.ReadCloser, error) { return regular.Open(path) }}
}

// TextCorpus is a text in memory; name stands for it in messages.
func TextCorpus(name, text string) Corpus {
	return Corpus{name, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

// maxLine bounds the bytes of one line.
const maxLine = 1 << 24

// lines goes through the lines that are not blank, trimmed. hash, if not nil,
// gets the plain text.
func (c Corpus) lines(hash io.Writer) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		fail := func(err error) { yield("", fmt.Errorf("corpus %s: %w", c.Name, err)) }
		f, err := c.open()
		if err != nil {
			fail(err)
			return
		}
		defer f.Close()
		in := bufio.NewReaderSize(f, 1<<16)
		if magic, err := in.Peek(2); err == nil && bytes.Equal(magic, []byte{0x1f, 0x8b}) {
			z, err := gzip.NewReader(in)
			if err != nil {
				fail(err)
				return
			}
			in = bufio.NewReaderSize(z, 1<<16)
		}
		var r io.Reader = in
		if hash != nil {
			r = io.TeeReader(in, hash)
		}
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 0, 1<<16), maxLine)
		for n := 1; s.Scan(); n++ {
			if !utf8.Valid(s.Bytes()) {
				fail(fmt.Errorf("line %d: not valid UTF-8", n))
				return
			}
			if line := strings.TrimSpace(s.Text()); line != "" && !yield(line, nil) {
				return
			}
		}
		if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
			fail(fmt.Errorf("a line is longer than %d bytes", maxLine))
		} else if err != nil {
			fail(err)
		}
	}
}

// measured is what one pass over a corpus finds.
type measured struct {
	hash  string
	bytes int    // of its lines
	head  string // its first lines, to count tokens in
}

func (c Corpus) measure() (measured, error) {
	const headBytes = 1 << 16
	var m measured
	var head strings.Builder
	h := sha256.New()
	for line, err := range c.lines(h) {
		if err != nil {
			return m, err
		}
		m.bytes += len(line)
		if head.Len() < headBytes {
			head.WriteString(line + "\n")
		}
	}
	if m.bytes == 0 {
		return m, fmt.Errorf("corpus %s: the text is empty", c.Name)
	}
	m.hash, m.head = hex.EncodeToString(h.Sum(nil)), head.String()
	return m, nil
}

// Hash identifies the text, plain or compressed: a SHA-256 in hexadecimal.
func (c Corpus) Hash() (string, error) {
	m, err := c.measure()
	return m.hash, err
}

// sample goes through the lines in a fixed order in which the first part is a
// random share of all lines, spread over the whole text, and the second part
// the rest.
func (c Corpus) sample(seed uint64, share float64) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, first := range []bool{true, false} {
			draw := rand.New(rand.NewPCG(seed, sampleStream))
			for line, err := range c.lines(nil) {
				if err != nil {
					yield("", err)
					return
				}
				if (draw.Float64() < share) == first && !yield(line, nil) {
					return
				}
			}
		}
	}
}

// sampleStream is the second half of a PCG seed; any constant does.
const sampleStream = 0x7365636f6e646d
