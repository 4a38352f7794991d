package data

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"unicode/utf8"
)

// peekSize is how much of a file may be looked at before it is read.
const peekSize = 1 << 16

// input is a file's text, unpacked if it was packed, with the hash of its bytes
// as stored.
type input struct {
	*bufio.Reader
	stored *bufio.Reader
	hash   hash.Hash
}

// newInput detects gzip by its first two bytes and skips a UTF-8 byte order
// mark. It refuses what is certainly no text.
func newInput(r io.Reader) (*input, error) {
	in := &input{hash: sha256.New()}
	in.stored = bufio.NewReaderSize(io.TeeReader(r, in.hash), peekSize)
	in.Reader = in.stored
	head, err := in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in.stored)
		if err != nil {
			return nil, gzipError(err)
		}
		in.Reader = bufio.NewReaderSize(z, peekSize)
	}
	head, err = in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, gzipError(err)
	}
	for _, known := range []struct{ magic, text string }{
		{"\xff\xfe", "the text is UTF-16; convert it to UTF-8"},
		{"\xfe\xff", "the text is UTF-16; convert it to UTF-8"},
		{"PK\x03\x04", "this is a zip archive; unpack it first"},
		{"\x28\xb5\x2f\xfd", "this is packed with zstd; unpack it or pack it with gzip"},
		{"\xfd7zX", "this is packed with xz; unpack it or pack it with gzip"},
		{"BZh", "this is packed with bzip2; unpack it or pack it with gzip"},
		{"GGUF", "this is a GGUF model, not a data set"},
	} {
		if strings.HasPrefix(string(head), known.magic) {
			return nil, errors.New(known.text)
		}
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		if _, err := in.Discard(3); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// sum reads what is left of the stored bytes and returns their SHA-256 in hex.
func (in *input) sum() (string, error) {
	if _, err := io.Copy(io.Discard, in.stored); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", in.hash.Sum(nil)), nil
}

// damage reports what is wrong with a gzip file whose text made no sense, so that
// the file is blamed and not a record. It looks at no more than 1 GiB.
func (in *input) damage() error {
	if in.Reader == in.stored {
		return nil
	}
	if _, err := io.CopyN(io.Discard, in.Reader, 1<<30); err != nil && !errors.Is(err, io.EOF) {
		return gzipError(err)
	}
	return nil
}

func gzipError(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the gzip file is cut off; fetch it again")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.As(err, &corrupt):
		return fmt.Errorf("the gzip file is damaged (%w); fetch it again", err)
	}
	return err
}

// splitter cuts a text into its records: the lines of JSON Lines, the elements
// of an array, or objects that follow one another.
type splitter struct {
	in      *input
	array   bool // inside [ ]
	lines   bool // one record a line
	started bool
	line    int // of the next byte, from 1
	max     int // bytes of one record
	buf     []byte
}

// recordBytes is the text of one record. problem is set where the record cannot
// be used and the next one can still be found.
type recordBytes struct {
	raw     []byte
	line    int
	problem string
}

func newSplitter(in *input, max int) (*splitter, error) {
	s := &splitter{in: in, line: 1, max: max}
	c, err := s.skipSpace()
	if errors.Is(err, io.EOF) {
		return s, nil
	}
	if err != nil {
		return nil, gzipError(err)
	}
	switch c {
	case '[':
		s.array = true
		_, err = in.ReadByte()
	case '{':
		var head []byte
		head, err = in.Peek(peekSize)
		if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		first, _, whole := bytes.Cut(head, []byte("\n"))
		s.lines = !whole || !opensBlock(first)
	default:
		return nil, fmt.Errorf("line %d: the file starts with %q; want JSON Lines, a JSON array, YAML (- prompt: …) or CSV whose head names the columns", s.line, c)
	}
	return s, gzipError(err)
}

// opensBlock reports whether a line is the first of an object that is spread
// over several lines.
func opensBlock(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && strings.IndexByte("{[,:", line[len(line)-1]) >= 0
}

// skipSpace moves to the next byte that is no blank and returns it unread.
func (s *splitter) skipSpace() (byte, error) {
	for {
		c, err := s.in.ReadByte()
		switch {
		case err != nil:
			return 0, err
		case c == '\n':
			s.line++
		case c != ' ' && c != '\t' && c != '\r':
			return c, s.in.UnreadByte()
		}
	}
}

// next returns the next record, io.EOF after the last one, or an error after
// which there is no going on. The bytes are valid until the next call.
func (s *splitter) next() (recordBytes, error) {
	rec, err := s.cut()
	if err == nil && rec.problem == "" && !utf8.Valid(rec.raw) {
		at := 0
		for at < len(rec.raw) {
			r, n := utf8.DecodeRune(rec.raw[at:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		rec.problem = fmt.Sprintf("not valid UTF-8 at byte %d of the record", at)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("line %d: %w", s.line, gzipError(err))
	}
	return rec, err
}

func (s *splitter) cut() (recordBytes, error) {
	c, err := s.skipSpace()
	if errors.Is(err, io.EOF) && s.array {
		return recordBytes{}, errors.New("the array is not closed; the file seems cut off")
	}
	if err != nil {
		return recordBytes{}, err
	}
	if s.lines {
		return s.cutLine()
	}
	if s.array {
		if c == ']' {
			return recordBytes{}, s.close()
		}
		if s.started {
			if c != ',' {
				return recordBytes{}, fmt.Errorf("want a comma or ] between records, found %q", c)
			}
			if _, err := s.in.ReadByte(); err != nil {
				return recordBytes{}, err
			}
			if _, err := s.skipSpace(); err != nil {
				return recordBytes{}, unexpected(err)
			}
		}
	}
	s.started = true
	return s.cutValue()
}

// close reads what follows the closing bracket.
func (s *splitter) close() error {
	if _, err := s.in.ReadByte(); err != nil {
		return err
	}
	c, err := s.skipSpace()
	if err == nil {
		return fmt.Errorf("text after the array, starting with %q", c)
	}
	s.array = false
	return err
}

// cutLine reads to the end of the line; a line that is too long is skipped and
// reported.
func (s *splitter) cutLine() (recordBytes, error) {
	rec := recordBytes{line: s.line}
	s.buf = s.buf[:0]
	for {
		part, err := s.in.ReadSlice('\n')
		if len(s.buf)+len(part) <= s.max {
			s.buf = append(s.buf, part...)
		} else {
			rec.problem = fmt.Sprintf("the line is longer than %d bytes", s.max)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err == nil {
			s.line++
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return rec, err
		}
		rec.raw = bytes.TrimSpace(s.buf)
		return rec, nil
	}
}

// cutValue reads one JSON value by counting brackets outside strings. What it
// holds is left to the parser.
func (s *splitter) cutValue() (recordBytes, error) {
	rec := recordBytes{line: s.line}
	s.buf = s.buf[:0]
	depth, quoted, escaped := 0, false, false
	for {
		c, err := s.in.ReadByte()
		if err != nil {
			return rec, unexpected(err)
		}
		if !quoted && depth == 0 && len(s.buf) > 0 && strings.IndexByte(",] \t\r\n", c) >= 0 {
			rec.raw = s.buf
			return rec, s.in.UnreadByte()
		}
		if len(s.buf) == s.max {
			return rec, fmt.Errorf("the record that starts at line %d is longer than %d bytes", rec.line, s.max)
		}
		s.buf = append(s.buf, c)
		switch {
		case c == '\n':
			s.line++
			if quoted {
				return rec, errors.New("a line ends inside a string")
			}
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth <= 0 && !quoted && strings.IndexByte("}]\"", c) >= 0 {
			rec.raw = s.buf
			return rec, nil
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("a record is not closed; the file seems cut off")
	}
	return err
}
