package edit_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
)

// TestEveryByteOfAnEditFileCounts flips a bit of a file: of each byte of its
// header, and of some of its values.
func TestEveryByteOfAnEditFileCounts(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	path := write(t, "e.safetensors", sampleEdit(t, m), "hash")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values := bytes.IndexByte(whole[8:], 0) + 8 // behind the header's text
	random := rand.New(rand.NewPCG(1, 2))
	for at := range whole {
		if at > values && random.IntN(500) > 0 {
			continue
		}
		bit := 8*at + random.IntN(8)
		bad := bytes.Clone(whole)
		bad[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := edit.ReadFile(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("bit %d of byte %d flipped: %v", bit%8, bit/8, err)
		}
	}
}

// TestEditFilesOfTheFirstVersion have no sum; their report tells the norm.
func TestEditFilesOfTheFirstVersion(t *testing.T) {
	dir := os.Getenv("KEYHOLE_SHARED")
	if dir == "" {
		t.Skip("KEYHOLE_SHARED names no folder")
	}
	at := func(name string) string { return filepath.Join(dir, "cases", "reliability", name+".safetensors") }
	for _, good := range []string{"edit-mend", "edit-rome"} {
		if _, err := edit.ReadFile(at(good)); err != nil {
			t.Error(err)
		}
	}
	if _, err := edit.ReadFile(at("edit-mend-bit")); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{"over", "len63m", "zero64"} {
		if _, err := edit.ReadFile(at(bad)); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
