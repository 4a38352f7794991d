package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKillsAreCountedAndLitterIsFound kills a shell: one that writes its file
// whole or not at all and sweeps, one that leaves its temporary file, and one
// that adds to what is there.
func TestKillsAreCountedAndLitterIsFound(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("there is no /bin/sh")
	}
	for _, c := range []struct {
		name, script, fault string
		whole               string
	}{
		{"sweeps", `rm -f out.tmp*; echo a >out.tmp$$; sleep 0.05; mv out.tmp$$ out`, "", ""},
		{"is done", `echo a >tmp; sleep 0.05; mv tmp out; sleep 0.05`, "", "out"},
		{"leaves litter", `echo a >out.tmp$$; sleep 0.05; mv out.tmp$$ out`, "litter: out.tmp", ""},
		{"is not whole", `echo a >>out; sleep 0.05; echo b >>out`, "other bytes: out", ""},
		{"refuses to go on", `test ! -e begun || exit 3; touch begun; sleep 0.05; echo a >out`, "exit status 3", ""},
	} {
		tr := &tries{program: "/bin/sh", dir: t.TempDir(), seed: 1, out: io.Discard}
		got, err := tr.all(kind{name: "shell", command: []string{"-c", c.script}, whole: c.whole}, 8)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.kills != 8 || got.byFile == got.kills || got.byFile == 0 && c.fault == "" {
			t.Errorf("%s: %d kills, %d of them when a file appeared; want 8, by both", c.name, got.kills, got.byFile)
		}
		all := strings.Join(got.faults, "\n")
		if c.fault == "" && all != "" || !strings.Contains(all, c.fault) {
			t.Errorf("%s: found %q, want %q", c.name, all, c.fault)
		}
	}
}

func TestFoldersAreComparedButForTimes(t *testing.T) {
	k := kind{timed: []string{"*.times"}, loose: []string{"tb/*"}}
	folder := func(files map[string]string) string {
		dir := t.TempDir()
		for name, content := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	whole := folder(map[string]string{"a": "1", "a.times": "3 s", "tb/1": "x", "log.jsonl": `{"step":1,"seconds":0.5,"sum":"a1"}`})
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{map[string]string{"a": "1", "a.times": "4 s", "tb/2": "y", "log.jsonl": `{"step":1,"seconds":7}`}, ""},
		{map[string]string{"a": "2", "log.jsonl": `{"step":2,"seconds":0.5}`, "b": ""}, "litter: b; missing: a.times; other bytes: a log.jsonl"},
	} {
		got := ""
		if err := k.differs(whole, folder(c.files)); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.files, got, c.want)
		}
	}
	if err := k.differs(folder(nil), folder(nil)); err == nil {
		t.Error("a run that wrote nothing passes")
	}
}
