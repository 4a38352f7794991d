package mpi

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestUnreadCountsWhatAPipeHolds(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if n := unread(w); n != 0 {
		t.Errorf("%d bytes of an empty pipe are unread", n)
	}
	if _, err := w.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	if n := unread(w); n != 5 {
		t.Errorf("%d bytes are unread, want 5", n)
	}
	if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if n := unread(w); n != 2 {
		t.Errorf("%d bytes are unread, want 2", n)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	if n := unread(f); n != 0 {
		t.Errorf("%d bytes of a file are unread", n)
	}
}
