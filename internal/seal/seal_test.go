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
