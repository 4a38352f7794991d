package checkpoints_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/checkpoints"
)

// The damages of the table: each gets the path of a step folder.

func truncate(name string, size int64) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		must(t, os.Truncate(filepath.Join(dir, name), size))
	}
}

func flip(name string, at int) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		path := filepath.Join(dir, name)
		b := read(t, path)
		b[at] ^= 1 << (at % 8)
		must(t, os.WriteFile(path, b, 0o600))
	}
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, name))) }
}

func rewrite(name string, edit func(text string) string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(edit(string(read(t, path)))), 0o600))
	}
}

// reseal edits a manifest and seals it again, as the format page says to.
func reseal(old, new string) func(*testing.T, string) {
	return rewrite("manifest.json", func(text string) string {
		if !strings.Contains(text, old) {
			panic("no " + old + " in " + text)
		}
		return seal(strings.Replace(text, old, new, 1))
	})
}

func seal(text string) string {
	body := text[:strings.LastIndex(text, "  \"manifest_sha256\"")]
	return fmt.Sprintf("%s  \"manifest_sha256\": \"%x\"\n}\n", body, sha256.Sum256([]byte(body)))
}

func TestDamageIsFoundAndNamed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		file   string // the file that the error must name
		want   string // part of the error
	}{
		{"truncated weights", truncate("phi.safetensors", 100), "phi.safetensors", "at byte 100: has 100 bytes, the manifest says 4096"},
		{"emptied weights", truncate("phi.safetensors", 0), "phi.safetensors", "at byte 0"},
		{"lengthened weights", truncate("phi.safetensors", 5000), "phi.safetensors", "at byte 4096"},
		{"first bit flipped", flip("phi.safetensors", 0), "phi.safetensors", "SHA-256"},
		{"last bit flipped", flip("phi.safetensors", 4095), "phi.safetensors", "SHA-256"},
		{"missing weights", remove("adam.safetensors"), "adam.safetensors", "missing"},
		{"a folder for a file", func(t *testing.T, dir string) {
			remove("phi.safetensors")(t, dir)
			must(t, os.Mkdir(filepath.Join(dir, "phi.safetensors"), 0o700))
		}, "phi.safetensors", "is not a file"},
		{"no manifest", remove("manifest.json"), "manifest.json", "missing"},
		{"empty manifest", truncate("manifest.json", 0), "manifest.json", "cut off after 0 bytes"},
		{"truncated manifest", truncate("manifest.json", 300), "manifest.json", "cut off after 300 bytes"},
		{"a digit changed in the manifest", rewrite("manifest.json", func(s string) string {
			return strings.Replace(s, `"step": 120`, `"step": 121`, 1)
		}), "manifest.json", "manifest_sha256"},
		{"a space added to the manifest", rewrite("manifest.json", func(s string) string { return s + " " }), "manifest.json", "edited"},
		{"unknown field", reseal(`"step"`, `"stepp"`), "manifest.json", `"stepp"`},
		{"path as file name", reseal(`"phi.safetensors"`, `"../phi.safetensors"`), "manifest.json", `"../phi.safetensors"`},
		{"format zero", reseal(`"format": 1`, `"format": 0`), "manifest.json", "format 0"},
		{"renamed folder", reseal(`"step": 120`, `"step": 7`), "manifest.json", "is of step 7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStore(t)
			save(t, s, 100)
			save(t, s, 120)
			dir := filepath.Join(s.Dir(), "step-000120")
			tc.damage(t, dir)
			for _, load := range []func() (*checkpoints.Checkpoint, error){
				func() (*checkpoints.Checkpoint, error) { return s.Load("last") },
				func() (*checkpoints.Checkpoint, error) { return checkpoints.LoadFolder(dir) },
			} {
				_, err := load()
				var c *checkpoints.CorruptError
				if !errors.As(err, &c) {
					t.Fatalf("got %v, want a CorruptError", err)
				}
				if c.File != tc.file || c.Use != "step-000100" || filepath.Base(c.Folder) != "step-000120" {
					t.Errorf("got %+v", c)
				}
				for _, part := range []string{tc.file, tc.want, "step-000120", fmt.Sprintf("delete %s and resume: the newest whole checkpoint is step-000100", dir)} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("no %q in %q", part, err)
					}
				}
			}
			if _, err := s.Load("step-000100"); err != nil {
				t.Errorf("the other checkpoint: %v", err)
			}
		})
	}
}

// TestACursorOfEarlierVersionsIsRead: they wrote the place in the data beside the state.
func TestACursorOfEarlierVersionsIsRead(t *testing.T) {
	s := newStore(t)
	save(t, s, 120)
	reseal(`"state"`, `"cursor": {"pos": 7},`+"\n  "+`"state"`)(t, filepath.Join(s.Dir(), "step-000120"))
	if c, err := s.Load("last"); err != nil || string(c.State) != `{"epoch":1,"next":7}` {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestEveryFlippedBitOfAManifestIsFound(t *testing.T) {
	s := newStore(t)
	save(t, s, 1)
	text := read(t, filepath.Join(s.Dir(), "step-000001", "manifest.json"))
	if _, err := checkpoints.ParseManifest(text); err != nil {
		t.Fatal(err)
	}
	for i := range len(text) * 8 {
		text[i/8] ^= 1 << (i % 8)
		if _, err := checkpoints.ParseManifest(text); err == nil {
			t.Errorf("bit %d of byte %d", i%8, i/8)
		}
		text[i/8] ^= 1 << (i % 8)
	}
}

func TestDamagedAloneSaysThatNothingElseIsThere(t *testing.T) {
	s := newStore(t)
	save(t, s, 100)
	save(t, s, 120)
	for _, name := range []string{"step-000100", "step-000120"} {
		flip("phi.safetensors", 9)(t, filepath.Join(s.Dir(), name))
	}
	_, err := s.Load("")
	var c *checkpoints.CorruptError
	if !errors.As(err, &c) || c.Use != "" || !strings.Contains(err.Error(), "train again") {
		t.Errorf("got %v", err)
	}
}

func TestNewerFormatIsNotCalledDamaged(t *testing.T) {
	s := newStore(t)
	save(t, s, 120)
	reseal(`"format": 1`, `"format": 2, "more": []`)(t, filepath.Join(s.Dir(), "step-000120"))
	_, err := s.Load("last")
	var c *checkpoints.CorruptError
	if !errors.Is(err, checkpoints.ErrNewer) || errors.As(err, &c) || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("got %v", err)
	}
}

func TestForeignFilesAreIgnoredAndKept(t *testing.T) {
	s := newStore(t)
	save(t, s, 100)
	save(t, s, 120)
	notes := []string{
		filepath.Join(s.Dir(), "notes.txt"), filepath.Join(s.Dir(), "step-12"),
		filepath.Join(s.Dir(), "step-000100", "notes.txt"), filepath.Join(s.Dir(), "step-000120", ".DS_Store"),
	}
	for _, path := range notes {
		must(t, os.WriteFile(path, []byte("mine"), 0o600))
	}
	c, err := s.Load("last")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Path(".DS_Store"); err == nil {
		t.Error("a foreign file is part of the checkpoint")
	}
	if deleted, err := s.Prune(1); err != nil || len(deleted) != 1 {
		t.Fatalf("pruned %v, %v", deleted, err)
	}
	must(t, s.Close())
	s = reopen(t, s.Dir())
	wantList(t, s, "step-000120")
	for _, path := range notes {
		if string(read(t, path)) != "mine" {
			t.Errorf("%s changed", path)
		}
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), "step-000100", "phi.safetensors")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("pruned weights: %v", err)
	}
}

func TestLeftoversOfKilledProcessesAreSwept(t *testing.T) {
	s := newStore(t)
	save(t, s, 100)
	save(t, s, 120)
	save(t, s, 140)
	must(t, s.Close())
	half := filepath.Join(s.Dir(), ".step-000160.unfinished-77-0")
	must(t, os.Mkdir(half, 0o700))
	must(t, os.WriteFile(filepath.Join(half, "phi.safetensors"), []byte("half"), 0o600))
	must(t, os.WriteFile(filepath.Join(s.Dir(), ".last.unfinished-77-0"), []byte("step-0"), 0o600))
	must(t, os.Mkdir(filepath.Join(s.Dir(), "step-000060"), 0o700)) // the last instant of a deletion
	deleting := filepath.Join(s.Dir(), "step-000100")               // its middle
	must(t, os.WriteFile(filepath.Join(deleting, ".deleting"), nil, 0o600))
	must(t, os.Remove(filepath.Join(deleting, "adam.safetensors")))
	must(t, os.Mkdir(filepath.Join(s.Dir(), "step-000120.previous"), 0o700)) // a replacement, half done
	must(t, os.Mkdir(filepath.Join(s.Dir(), "step-000180.previous"), 0o700)) // the only copy: to be kept

	v, err := checkpoints.View(s.Dir())
	must(t, err)
	if _, err := v.Load("last"); err != nil {
		t.Errorf("view beside leftovers: %v", err)
	}
	if _, err := os.Stat(half); err != nil {
		t.Errorf("a view swept: %v", err)
	}

	s = reopen(t, s.Dir())
	wantList(t, s, "step-000120", "step-000140")
	entries, err := os.ReadDir(s.Dir())
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got, want := strings.Join(names, " "), ".lock last step-000120 step-000140 step-000180.previous"; got != want {
		t.Errorf("after the sweep: %s, want %s", got, want)
	}
	for _, ref := range []string{"last", "120"} {
		if _, err := s.Load(ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestDamagedPointersAreNamed(t *testing.T) {
	for _, text := range []string{"", "../x", "step-1", strings.Repeat("step-000100", 9)} {
		s := newStore(t)
		save(t, s, 100)
		must(t, os.WriteFile(filepath.Join(s.Dir(), "last"), []byte(text), 0o600))
		_, err := s.Load("last")
		var c *checkpoints.CorruptError
		if !errors.As(err, &c) || c.File != "last" || c.Use != "step-000100" {
			t.Errorf("%q: got %v", text, err)
		}
		must(t, os.Remove(filepath.Join(s.Dir(), "last"))) // as the error says
		if c, err := s.Load("last"); err != nil || c.Name() != "step-000100" {
			t.Errorf("%q deleted: %v", text, err)
		}
	}
}

func TestADeletedCheckpointGivesWayToTheLatestWholeOne(t *testing.T) {
	s := newStore(t)
	for _, step := range []int{80, 100, 110, 120} {
		save(t, s, step)
	}
	must(t, s.SetBest("120"))
	if gone := s.Gone(); gone != "" {
		t.Errorf("%s is there", gone)
	}
	flip("phi.safetensors", 7)(t, filepath.Join(s.Dir(), "step-000110"))
	must(t, os.RemoveAll(filepath.Join(s.Dir(), "step-000120")))
	if c, err := s.Load("last"); err != nil || c.Name() != "step-000100" {
		t.Errorf("last: %v", err)
	}
	if gone := s.Gone(); gone != "step-000120" {
		t.Errorf("%q is gone", gone)
	}
	var bad *checkpoints.CorruptError
	if _, err := s.Load("best"); !errors.As(err, &bad) || bad.Use != "step-000100" {
		t.Errorf("best: %v", err)
	}
	for _, name := range []string{"step-000080", "step-000100"} {
		must(t, os.RemoveAll(filepath.Join(s.Dir(), name)))
	}
	if _, err := s.Load("last"); !errors.As(err, &bad) || bad.Use != "" || errors.Is(err, checkpoints.ErrNone) {
		t.Errorf("nothing whole is left: %v", err)
	}
	save(t, s, 112)
	if gone := s.Gone(); gone != "" {
		t.Errorf("%s was saved anew", gone)
	}
}

func FuzzParseManifest(f *testing.F) {
	s := newStore(f)
	save(f, s, 120)
	text := string(read(f, filepath.Join(s.Dir(), "step-000120", "manifest.json")))
	f.Add(text)
	f.Add("{\n" + `  "format": 1,` + "\n  \"manifest_sha256\": \"\"\n}\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		for _, text := range []string{text, tryReseal(text)} {
			m, err := checkpoints.ParseManifest([]byte(text))
			if err != nil {
				continue
			}
			for _, file := range m.Files {
				if filepath.Base(file.Name) != file.Name || file.Size < 0 {
					t.Fatalf("accepted %+v", file)
				}
			}
		}
	})
}

// tryReseal lets the fuzzer past the seal.
func tryReseal(text string) string {
	if !strings.Contains(text, "  \"manifest_sha256\"") {
		text = strings.TrimSuffix(text, "}") + "  \"manifest_sha256\""
	}
	return seal(text)
}

// TestLinksAreNoCheckpoints: whoever can make a link in a run's folder could have
// anything read, or written over, through it.
func TestLinksAreNoCheckpoints(t *testing.T) {
	for _, name := range []string{"step-000120", "step-000120/manifest.json", "step-000120/phi.safetensors", "last"} {
		s := newStore(t)
		save(t, s, 100)
		save(t, s, 120)
		path, away := filepath.Join(s.Dir(), name), filepath.Join(t.TempDir(), "step-000120")
		must(t, os.Rename(path, away))
		must(t, os.Symlink(away, path))
		_, err := s.Load("last")
		var corrupt *checkpoints.CorruptError
		if !errors.As(err, &corrupt) || !strings.Contains(err.Error(), filepath.Base(name)) || !strings.Contains(corrupt.Use, "step-000") {
			t.Errorf("%s is a link: %v", name, err)
		}
		must(t, s.Close())
	}
}

func TestAPointerIsReadWithoutASumAndWithTheRightOne(t *testing.T) {
	s := newStore(t)
	for _, step := range []int{20, 40, 60} {
		save(t, s, step)
	}
	last := filepath.Join(s.Dir(), "last")
	whole := read(t, last)
	for bit := range 8 * len(whole) {
		bad := []byte(string(whole))
		bad[bit/8] ^= 1 << (bit % 8)
		must(t, os.WriteFile(last, bad, 0o600))
		if name, err := s.Last(); err == nil {
			t.Errorf("%q names %s", bad, name)
		}
	}
	must(t, os.WriteFile(last, []byte("step-000040\n"), 0o600)) // as the first version wrote it
	if name, err := s.Last(); err != nil || name != "step-000040" {
		t.Errorf("%s, %v", name, err)
	}
}
