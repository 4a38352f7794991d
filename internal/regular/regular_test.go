//go:build unix

package regular_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keyhole.example/keyhole/internal/regular"
)

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("file"), []byte("text"), 0o666), os.Symlink("file", at("link")), os.Symlink("nothing", at("dangling")),
		unix.Mkfifo(at("pipe"), 0o666), os.Mkdir(at("folder"), 0o777), os.Symlink("pipe", at("link-to-pipe")), os.Symlink("/dev/zero", at("zero")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name      string
		open, own bool
	}{
		{"file", true, true}, {"link", true, false}, {"pipe", false, false}, {"folder", false, false},
		{"link-to-pipe", false, false}, {"zero", false, false}, {"dangling", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			done := time.AfterFunc(10*time.Second, func() { panic("waits for a pipe's other end") })
			defer done.Stop()
			read := func(open func(string, int64) ([]byte, error)) error {
				text, err := open(at(c.name), 4)
				if err == nil && string(text) != "text" {
					t.Errorf("read %q", text)
				}
				return err
			}
			err, own := read(regular.ReadFile), read(regular.ReadOwn)
			if (err == nil) != c.open || (own == nil) != c.own {
				t.Errorf("opened: %v; as a file of our own: %v", err, own)
			}
			for _, err := range []error{err, own} {
				if err != nil && !errors.Is(err, regular.ErrNot) && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the error is %v", err)
				}
			}
		})
	}
	if _, err := regular.OpenFileOwn(at("link"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666); err == nil {
		t.Error("a link is opened for writing")
	}
	if text, err := os.ReadFile(at("file")); err != nil || string(text) != "text" {
		t.Errorf("the file behind the link is %q, %v", text, err)
	}
}

func TestSizesAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("12345"), 0o666); err != nil {
		t.Fatal(err)
	}
	if text, err := regular.ReadFile(path, 5); err != nil || string(text) != "12345" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := regular.ReadFile(path, 4); !errors.Is(err, regular.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if err := os.Truncate(path, 1<<40); err != nil { // a hole: nothing is written
		t.Skip("the disk has no sparse files:", err)
	}
	if _, err := regular.ReadFile(path, 1<<20); !errors.Is(err, regular.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}
