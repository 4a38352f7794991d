// Package seal puts a sum into what this program writes as JSON and reads back,
// so that a changed byte is noticed: a line gets a last member "sum".
package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	begin  = `,"sum":"`
	end    = `"}`
	digits = 16 // of a SHA-256 in hexadecimal: enough for damage, which no enemy aims
)

// ErrDamaged says that a line is not what was written.
var ErrDamaged = errors.New("it is damaged: its sum is another")

// Line is the JSON object text, without white space at its ends, with a last
// member "sum" that is made of all bytes before it. The object must not be empty.
func Line(text []byte) ([]byte, error) {
	body, ok := bytes.CutSuffix(text, []byte("}"))
	if !ok || len(body) < 2 {
		return nil, fmt.Errorf("seal: %.20q is no JSON object with members", text)
	}
	out := make([]byte, 0, len(body)+len(begin)+digits+len(end))
	out = append(append(out, body...), begin...)
	out = append(out, Sum(body)...)
	return append(out, end...), nil
}

// Open is the object without its sum. One that ends without a sum is of an
// earlier version, and comes back as it is, with sealed false.
func Open(line []byte) (text []byte, sealed bool, err error) {
	const tail = len(begin) + digits + len(end)
	at := len(line) - tail
	if at < 1 || !bytes.HasPrefix(line[at:], []byte(begin)) || !bytes.HasSuffix(line, []byte(end)) {
		return line, false, nil
	}
	body := line[:at]
	if string(line[at+len(begin):len(line)-len(end)]) != Sum(body) {
		return nil, true, ErrDamaged
	}
	return append(bytes.Clone(body), '}'), true, nil
}

// Sum is the first digits of the SHA-256 of text, in hexadecimal.
func Sum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:digits/2])
}
