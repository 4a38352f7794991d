package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"keyhole.example/keyhole/internal/lock"
)

// TestWhatAnotherProcessChangesIsNotChanged removes edits from what is in use.
func TestWhatAnotherProcessChangesIsNotChanged(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	saved, store := copied(t, "saved"), copied(t, "store.json")
	file := filepath.Join(copied(t, "edits"), "rome.safetensors")
	for path, id := range map[string]string{saved: "rome.safetensors", store: "1", file: "1"} {
		held, err := lock.Beside(path)
		if err != nil {
			t.Fatal(err)
		}
		watched := path
		if path == saved {
			watched = filepath.Join(saved, "edits", "base.json")
		}
		before := contents(t, watched)
		var used *lock.InUseError
		if out, err := keyhole(t, "edits", "remove", path, id); !errors.As(err, &used) {
			t.Errorf("remove from %s: error %v, output %s", path, err, out)
		}
		if !bytes.Equal(contents(t, watched), before) {
			t.Errorf("%s was changed", watched)
		}
		if err := held.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
}
