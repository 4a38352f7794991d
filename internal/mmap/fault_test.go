//go:build linux || darwin

package mmap

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestFault_names_the_file_that_was_cut_short(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights")
	if err := os.WriteFile(path, bytes.Repeat([]byte{1}, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	err = func() (err error) {
		defer func() { err = Fault(recover()) }()
		sum := 0
		for _, b := range f.Bytes() {
			sum += int(b)
		}
		t.Errorf("bytes behind the end add up to %d", sum)
		return nil
	}()
	var cut *CutError
	if !errors.As(err, &cut) || cut.Path != path || cut.Was != 1<<20 || cut.Is != 10 || !strings.Contains(err.Error(), "has 10 now") {
		t.Errorf("%v", err)
	}
}

func TestFault_leaves_other_panics_alone(t *testing.T) {
	for _, v := range []any{nil, "text", errors.New("x")} {
		if err := Fault(v); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
	func() {
		defer func() {
			if err := Fault(recover()); err != nil {
				t.Error(err)
			}
		}()
		var list []int
		_ = list[3]
	}()
}
