package serve

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/lm"
)

// tiny is a model that has a hash and nothing to say.
func tiny(t testing.TB) *lm.Model {
	t.Helper()
	c, err := lm.ParseConfig([]byte(`{"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 11, "n_positions": 16}`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := lm.New(c, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func someEdit(id string) *kept {
	return &kept{
		ID: id, On: true, Editor: "ft", Request: fact{Prompt: "p \u2028<&>", Target: "t", Paraphrases: []string{}, Neighbors: []neighbor{}},
		Created: time.Now().UTC().Truncate(time.Second), Seconds: 1. / 3, Drift: drift{Same: 1, KL: 1e-7, Prompts: 3},
		edited: &edit.Edited{Editor: "ft", Requests: []edit.Request{{ID: id, Prompt: "p", Target: "t"}}, Changes: []edit.Change{{Weight: "w", Values: []float32{1, 2}}}},
	}
}

// filled is a folder with a store of two edits, closed.
func filled(t *testing.T, m *lm.Model) string {
	t.Helper()
	dir := t.TempDir()
	s, list, err := openStore(dir, m)
	if err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
	for range 2 {
		list = append(list, someEdit(s.newID()))
		if err := s.addFile(list[len(list)-1]); err != nil {
			t.Fatal(err)
		}
	}
	context := someEdit(s.newID())
	context.edited = nil
	if err := errors.Join(s.save(append(list, context)), s.close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStoreKeepsAll(t *testing.T) {
	m := tiny(t)
	dir := filled(t, m)
	before, err := os.ReadFile(filepath.Join(dir, listFile))
	if err != nil {
		t.Fatal(err)
	}
	// what a kill left: a file of no edit, and one that was being written
	for _, name := range []string{"9" + edit.FileExt, ".1.safetensors.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, filesFolder, name), []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s, list, err := openStore(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 || list[0].edited == nil || list[2].edited != nil || list[1].Seconds != 1./3 || list[0].Request.Prompt != "p \u2028<&>" {
		t.Errorf("%+v", list)
	}
	if left, err := os.ReadDir(filepath.Join(dir, filesFolder)); err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
	if id := s.newID(); id != "4" {
		t.Errorf("the next edit is %s", id)
	}
	if _, _, err := openStore(dir, m); !errors.As(err, new(*lock.InUseError)) {
		t.Errorf("a second server: %v", err)
	}
	s.next--
	if err := errors.Join(s.save(list), s.close()); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, listFile)); err != nil || !bytes.Equal(after, before) {
		t.Errorf("saved again, it is %s", after)
	}
}

func TestDamagedStoreIsAnError(t *testing.T) {
	m := tiny(t)
	dir := filled(t, m)
	list, err := os.ReadFile(filepath.Join(dir, listFile))
	if err != nil {
		t.Fatal(err)
	}
	one := filepath.Join(dir, filesFolder, "1"+edit.FileExt)
	file, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	write := func(path string, raw []byte) {
		t.Helper()
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	damaged := func(what string) {
		t.Helper()
		s, _, err := openStore(dir, m)
		if err == nil {
			t.Errorf("%s: no error", what)
			_ = s.close()
			return
		}
		if !strings.Contains(err.Error(), filepath.Join(dir, listFile)) || !strings.Contains(err.Error(), "move the folder") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := 0; i < len(list)-2; i += 31 { // behind the last brace there is white space
		bad := bytes.Clone(list)
		bad[i] ^= 1
		write(filepath.Join(dir, listFile), bad)
		damaged("a bit")
	}
	write(filepath.Join(dir, listFile), list[:len(list)/2])
	damaged("half of the list")
	write(filepath.Join(dir, listFile), nil)
	damaged("an empty list")
	write(filepath.Join(dir, listFile), bytes.Replace(list, []byte(`"version":1`), []byte(`"version":9`), 1))
	damaged("another version")
	write(filepath.Join(dir, listFile), list)
	bad := bytes.Clone(file)
	bad[len(bad)-1] ^= 1
	write(one, bad)
	damaged("an edit file")
	if err := os.Remove(one); err != nil {
		t.Fatal(err)
	}
	damaged("no edit file")
	write(one, file)
	s, all, err := openStore(dir, m)
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	_ = s.close()
}
