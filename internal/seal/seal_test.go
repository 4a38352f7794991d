package seal_test

import (
	"bytes"
	"testing"

	"keyhole.example/keyhole/internal/seal"
)

func TestEveryBitCounts(t *testing.T) {
	text := []byte(`{"id":"a","values":{"x":[1,2]}}`)
	line, err := seal.Line(text)
	if err != nil {
		t.Fatal(err)
	}
	got, sealed, err := seal.Open(line)
	if err != nil || !sealed || !bytes.Equal(got, text) {
		t.Fatalf("%s, %v, %v", got, sealed, err)
	}
	if got, sealed, err := seal.Open(text); err != nil || sealed || !bytes.Equal(got, text) {
		t.Errorf("a line of an earlier version: %s, %v, %v", got, sealed, err)
	}
	for i := range 8 * len(line) {
		bad := bytes.Clone(line)
		bad[i/8] ^= 1 << (i % 8)
		if got, sealed, err := seal.Open(bad); err == nil && sealed {
			t.Errorf("bit %d flipped: %s", i, got)
		}
	}
	for _, none := range []string{"", "{}", "[1]", "null"} {
		if _, err := seal.Line([]byte(none)); err == nil {
			t.Errorf("%q is sealed", none)
		}
	}
}

func TestTextThatJSONWouldReadAsAnotherIsRefused(t *testing.T) {
	for text, good := range map[string]bool{
		`{"a":"\ud83d\ude00 \n \\ud800 \u00e9"}`: true, `{"a":"é😀"}`: true, ``: true, `\`: true, `"\\\\"`: true,
		`{"a":"\ud83d"}`: false, `{"a":"\ude00"}`: false, `{"a":"\ud83d\u0041"}`: false, `{"a":"\ud83d\ud83d\ude00"}`: false,
		"{\"a\":\"\xff\"}": false, "\"\xed\xa0\x80\"": false, `"\\\ud800"`: false,
	} {
		if err := seal.CheckText([]byte(text)); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	line, err := seal.Line([]byte(`{"a":"\ud83d\ude00"}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(`{"a":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		text, sealed, err := seal.Open(line)
		if err == nil && sealed {
			again, err := seal.Line(text)
			if err != nil || !bytes.Equal(again, line) {
				t.Errorf("sealed again: %s, %v", again, err)
			}
		}
		_ = seal.CheckText(line)
	})
}
