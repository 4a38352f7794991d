package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// word is an argument of a command in a guide: plain, or in double quotes.
var word = regexp.MustCompile(`"[^"]*"|[^\s"]+`)

// TestGuides runs every command of the guides that begins an indented line with
// "keyhole", in order, in one folder for each guide.
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
		t.Run(filepath.Base(guide), func(t *testing.T) {
			text, err := os.ReadFile(guide)
			if err != nil {
				t.Fatal(err)
			}
			dir, n := t.TempDir(), 0
			for line := range strings.Lines(string(text)) {
				command, ok := strings.CutPrefix(line, "    keyhole ")
				if !ok {
					continue
				}
				var args []string
				for _, w := range word.FindAllString(command, -1) {
					args = append(args, strings.Trim(w, `"`))
				}
				c := exec.Command(bin, args...)
				c.Dir = dir
				c.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, ".cache"), "HF_HUB_OFFLINE=1")
				if out, err := c.CombinedOutput(); err != nil {
					t.Fatalf("%s%v\n%s", line, err, out)
				}
				n++
			}
			if n == 0 {
				t.Errorf("%s has no command", guide)
			}
		})
	}
}
