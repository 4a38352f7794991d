package ike

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
)

func TestAStoreKeepsEditsOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.json")
	s, err := OpenStore(path)
	if err != nil {
		t.Fatal(err)
	}
	want := append(edittest.Requests(), edit.Request{ID: "1", Prompt: "<p> & q", Target: "t"})
	for _, r := range want {
		if r.ID == "1" {
			r.ID = "" // the least free number
		}
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenStore(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Requests(); !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
	if err := again.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if got := again.Requests(); !slices.Equal(got, want[1:]) {
		t.Errorf("after Remove %v", got)
	}
	for _, r := range []edit.Request{{ID: "b", Prompt: "p", Target: "t"}, {Prompt: want[1].Prompt, Target: "t"}, {Prompt: "p"}} {
		if err := again.Add(r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
	if err := again.Remove("zz"); err == nil {
		t.Error("an unknown edit was removed")
	}
	if again.Path() != path {
		t.Errorf("path %s", again.Path())
	}
}

func TestDamagedStoresAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":        {"{", "unexpected EOF"},
		"unknown field":  {`{"format":"keyhole-edit-store","version":1,"edit":[]}`, "edit"},
		"other format":   {`{"format":"x","version":1,"edits":[]}`, `format is "x"`},
		"other version":  {`{"format":"keyhole-edit-store","version":2,"edits":[]}`, "version is 2"},
		"no id":          {`{"format":"keyhole-edit-store","version":1,"edits":[{"prompt":"p","target":"t"}]}`, "edit 0 has no id"},
		"no target":      {`{"format":"keyhole-edit-store","version":1,"edits":[{"id":"1","prompt":"p"}]}`, "target is empty"},
		"id twice":       {`{"format":"keyhole-edit-store","version":1,"edits":[{"id":"1","prompt":"p","target":"t"},{"id":"1","prompt":"q","target":"t"}]}`, "id is taken"},
		"another sum":    {`{"format":"keyhole-edit-store","version":1,"edits":[{"id":"1","prompt":"p","target":"t"}],"sum":"0123456789abcdef"}`, "damaged"},
		"half a letter":  {`{"format":"keyhole-edit-store","version":1,"edits":[{"id":"1","prompt":"\ud83d","target":"t"}]}`, "half a character"},
		"something more": {`{"format":"keyhole-edit-store","version":1,"edits":[]} {}`, "follows"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.json")
			if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := OpenStore(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want %q and the path in it", err, c.want)
			}
		})
	}
}

func FuzzStore(f *testing.F) {
	f.Add([]byte(`{"format":"keyhole-edit-store","version":1,"edits":[{"id":"1","prompt":"p","target":"t"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s, again Store
		if s.parse(text) != nil {
			return
		}
		var b bytes.Buffer
		if err := s.encode(&b); err != nil {
			t.Fatal(err)
		}
		if err := again.parse(b.Bytes()); err != nil || !slices.Equal(again.Requests(), s.Requests()) {
			t.Errorf("written and read again: %v", err)
		}
	})
}
