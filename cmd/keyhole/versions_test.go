package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/presets"
	"keyhole.example/keyhole/trace"
)

// earlier is a folder of files that an earlier version wrote, by its make.sh.
const earlier = "testdata/v0"

// keyhole runs a command line in this process; its output is both streams.
func keyhole(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := commands(&options{})
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func mustKeyhole(t *testing.T, args ...string) string {
	t.Helper()
	out, err := keyhole(t, args...)
	if err != nil {
		t.Fatalf("keyhole %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// copied is a copy of a file or folder of the earlier version.
func copied(t *testing.T, name string) string {
	t.Helper()
	from, to := filepath.Join(earlier, name), filepath.Join(t.TempDir(), filepath.Base(name))
	info, err := os.Stat(from)
	if err == nil && info.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else if err == nil {
		err = os.WriteFile(to, contents(t, from), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestRunsOfEarlierVersionsGoOn resumes a run to the bytes that the version that
// began it would have come to.
func TestRunsOfEarlierVersionsGoOn(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	run := copied(t, "run")
	mustKeyhole(t, "resume", run, "--steps", "12")
	for line := range strings.Lines(string(contents(t, filepath.Join(earlier, "step-000012.sha256")))) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		got := sha256.Sum256(contents(t, filepath.Join(run, "checkpoints", "step-000012", name)))
		if fmt.Sprintf("%x", got) != want {
			t.Errorf("%s: the sum is %x, want %s", name, got, want)
		}
	}
}

// TestEditsOfEarlierVersionsAreApplied applies edit files of every kind, lists a
// store and an edited model, and takes an edit out of both.
func TestEditsOfEarlierVersionsAreApplied(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	edits, store, saved := copied(t, "edits"), copied(t, "store.json"), copied(t, "saved")
	for _, name := range []string{"ft", "lora", "mend", "rome"} {
		mustKeyhole(t, "edits", "apply", "embedded", filepath.Join(edits, name+".safetensors"), "--save", filepath.Join(t.TempDir(), "out"))
	}
	for _, path := range []string{edits, store, saved} {
		if out := mustKeyhole(t, "edits", "list", path); !strings.Contains(out, "Friedrich Rosen succumbed at") {
			t.Errorf("%s is listed as\n%s", path, out)
		}
	}
	mustKeyhole(t, "generate", "embedded", "--store", store, "--editor", "prompt", "--prompt", "Friedrich Rosen succumbed at")
	mustKeyhole(t, "edits", "remove", store, "1")
	mustKeyhole(t, "edits", "remove", saved, "rome.safetensors")
	if out := mustKeyhole(t, "edits", "list", saved); strings.Contains(out, "rome") || !strings.Contains(out, "lora") {
		t.Errorf("without the edit by rome:\n%s", out)
	}
}

// TestResultsOfEarlierVersionsGoOn continues evaluations, of which those of
// editors with settings have every key of the earlier version spelt out.
func TestResultsOfEarlierVersionsGoOn(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	list, err := filepath.Glob(filepath.Join(earlier, "results", "*.jsonl"))
	if err != nil || len(list) < 10 {
		t.Fatalf("%d results (%v)", len(list), err)
	}
	for _, path := range list {
		name := strings.TrimSuffix(filepath.Base(path), ".jsonl")
		t.Run(name, func(t *testing.T) {
			out := copied(t, filepath.Join("results", name+".jsonl"))
			before := contents(t, out)
			limit := bytes.Count(before, []byte("\n")) // an edit more, as the first line is no edit
			args := []string{"eval", "--data", "embedded", "--max-len", "32", "--out", out}
			switch name {
			case "mend":
				args = append(args, copied(t, "run"))
			case "sequence":
				args = append(args, "--editor", "lora", "--model", "embedded", "--set", "rank=2", "--protocol", "sequential-immediate")
			default:
				args = append(args, "--editor", name, "--model", "embedded")
				settings, err := os.ReadFile(filepath.Join(earlier, "editors", name+".set"))
				if err == nil {
					for line := range strings.Lines(string(settings)) {
						args = append(args, "--set", strings.TrimSuffix(line, "\n"))
					}
				}
				if slices.Contains([]string{"rome", "memit", "ike", "ike-easyedit", "prompt"}, name) {
					limit-- // they take long; that it is the same editor is seen without another edit
				}
			}
			mustKeyhole(t, append(args, "--limit", fmt.Sprint(limit))...)
			after := contents(t, out)
			if !bytes.HasPrefix(after, before) || bytes.Count(after, []byte("\n")) != limit+1 {
				t.Errorf("%d lines of other bytes, want those that were there, and %d in all", bytes.Count(after, []byte("\n")), limit+1)
			}
		})
	}
}

func TestTracesAndStatisticsOfEarlierVersionsGoOn(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	traced, stats := copied(t, "traced"), copied(t, "stats")
	log := filepath.Join(traced, "hidden.facts.jsonl")
	before := contents(t, log)
	mustKeyhole(t, "trace", "embedded", "--data", filepath.Join(earlier, "facts.jsonl"), "--limit", "2", "--set", "samples=2", "--restore", "hidden", "--out", traced)
	if after := contents(t, log); !bytes.HasPrefix(after, before) || len(after) == len(before) {
		t.Errorf("the log of %d bytes became one of %d that does not go on from it", len(before), len(after))
	}
	list, err := filepath.Glob(filepath.Join(stats, "*"))
	if err != nil || len(list) != 1 {
		t.Fatalf("%v (%v)", list, err)
	}
	was := contents(t, list[0])
	mustKeyhole(t, "stats", "embedded", "--sites", "transformer.h.0.mlp.c_fc.weight", "--tokens", "3000", "--out", stats)
	if again, err := filepath.Glob(filepath.Join(stats, "*")); err != nil || !slices.Equal(again, list) || !bytes.Equal(contents(t, list[0]), was) {
		t.Errorf("statistics were collected again: %v", again)
	}
}

// TestKeysAddedSinceSayWhatTheirAbsenceMeans demands of every key that came after
// the first version a tag absent:"VALUE", without which what that version wrote
// would belong to another configuration.
func TestKeysAddedSinceSayWhatTheirAbsenceMeans(t *testing.T) {
	had := map[string]bool{}
	for line := range strings.Lines(string(contents(t, filepath.Join(earlier, "keys.txt")))) {
		had[strings.TrimSpace(line)] = true
	}
	kinds := map[string]func() any{"trace": func() any { c := trace.Default(); return &c }}
	for _, k := range presets.Kinds() {
		if k.Name != "compare" { // which nothing that is saved belongs to
			kinds[k.Name] = k.Fresh
		}
	}
	for _, e := range catalog.Entries() {
		if e.Fresh != nil && had[e.Name+" "+firstKey(t, e.Fresh())] { // an editor that the first version had
			kinds[e.Name] = e.Fresh
		}
	}
	if len(kinds) < 10 {
		t.Fatalf("only %d kinds of configuration", len(kinds))
	}
	for kind, fresh := range kinds {
		rows, err := configs.Explain(fresh())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if inElement := strings.ContainsAny(r.Key, "[{"); inElement || had[kind+" "+r.Key] || r.Absent != "" {
				delete(had, kind+" "+r.Key)
				continue
			}
			t.Errorf("%s config: %s is new; tag its field absent:\"VALUE\" with what programs did before there was the key (today's default is %s)", kind, r.Key, r.Default)
		}
	}
	for key := range had {
		if kind, name, _ := strings.Cut(key, " "); kinds[kind] != nil && !strings.ContainsAny(name, "[{") {
			t.Errorf("%s config: %s is gone, and what earlier versions wrote has it", kind, name)
		}
	}
}

func firstKey(t *testing.T, config any) string {
	t.Helper()
	rows, err := configs.Explain(config)
	if err != nil || len(rows) == 0 {
		t.Fatalf("%T has %d keys: %v", config, len(rows), err)
	}
	return rows[0].Key
}
