package seal

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// CheckText refuses JSON that encoding/json would quietly read as another text:
// bytes that are no UTF-8, and halves of surrogate pairs without their other half.
func CheckText(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("it is not valid UTF-8")
	}
	for at := bytes.IndexByte(text, '\\'); at >= 0; {
		n := 2 // an escape such as \n or \\
		if half, ok := escapedUnit(text[at:]); ok {
			n = len(unit)
			if half >= highFirst && half < highFirst+surrogates {
				low, ok := escapedUnit(text[at+n:])
				if !ok || low < lowFirst || low >= lowFirst+surrogates {
					return fmt.Errorf("byte %d: \\u%04x is half a character: its other half does not follow", at, half)
				}
				n *= 2
			} else if half >= lowFirst && half < lowFirst+surrogates {
				return fmt.Errorf("byte %d: \\u%04x is the second half of a character without its first", at, half)
			}
		}
		next := min(at+n, len(text))
		i := bytes.IndexByte(text[next:], '\\')
		if i < 0 {
			break
		}
		at = next + i
	}
	return nil
}

// UTF-16's two ranges of surrogates, and an escape of a unit of it.
const (
	highFirst  = 0xd800
	lowFirst   = 0xdc00
	surrogates = 0x400
	unit       = `\u0000`
)

// escapedUnit reads an escape such as \ud83d at the beginning of text.
func escapedUnit(text []byte) (uint64, bool) {
	if len(text) < len(unit) || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(string(text[2:len(unit)]), 16, 16)
	return v, err == nil
}
