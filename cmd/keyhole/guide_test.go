package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/mpi/mpitest"
)

// word is an argument of a command in a guide: plain, or in double quotes.
var word = regexp.MustCompile(`"[^"]*"|[^\s"]+`)

// launched is a command of several processes in a guide.
var launched = regexp.MustCompile(`^    mpirun -n (\d+) keyhole `)

// TestGuides runs every command of the guides that begins an indented line with
// "keyhole" or with "mpirun -n N keyhole", in order, in one folder for each guide
// and, where there are such, for each launcher.
func TestGuides(t *testing.T) {
	guides, err := filepath.Glob("../../docs/guide/*.md")
	if err != nil || len(guides) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "keyhole")
	if err := os.Symlink(self, bin); err != nil {
		t.Skipf("no links on this system: %v", err)
	}
	for _, guide := range guides {
		text, err := os.ReadFile(guide)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(guide), func(t *testing.T) {
			if !strings.Contains(string(text), "\n    mpirun -n ") {
				follow(t, string(text), bin, mpitest.Launcher{})
				return
			}
			for _, l := range mpitest.Launchers(t) {
				t.Run(l.Name, func(t *testing.T) { follow(t, string(text), bin, l) })
			}
		})
	}
}

// follow runs the commands of a guide; l starts those of several processes.
func follow(t *testing.T, text, bin string, l mpitest.Launcher) {
	dir, n := t.TempDir(), 0
	for line := range strings.Lines(text) {
		processes := 0
		command, ok := strings.CutPrefix(line, "    keyhole ")
		if m := launched.FindStringSubmatch(line); m != nil {
			processes, _ = strconv.Atoi(m[1]) // digits
			command, ok = line[len(m[0]):], true
		}
		if !ok {
			continue
		}
		var args []string
		for _, w := range word.FindAllString(command, -1) {
			args = append(args, strings.Trim(w, `"`))
		}
		c := exec.Command(bin, args...)
		if processes > 0 {
			c = l.Command(t.Context(), processes, bin, args...)
		}
		c.Dir = dir
		c.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, ".cache"), "HF_HUB_OFFLINE=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s%v\n%s", line, err, out)
		}
		n++
	}
	if n == 0 {
		t.Error("the guide has no command")
	}
}
