package train_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/train"
)

// The end of a log is where reading all of it ends.
func TestLogEnd(t *testing.T) {
	dir := t.TempDir()
	if _, err := train.LogEnd(dir); !os.IsNotExist(err) && !strings.Contains(err.Error(), "no such file") {
		t.Errorf("without a log: %v", err)
	}
	line := `{"step":1,"kind":"train","loss":2}` + "\n"
	for _, text := range []string{"", "{", line, line + line, line + `{"ste`, "\n", strings.Repeat(line, 500) + line[:20], line + strings.Repeat("x", 9000), strings.Repeat("x", 5000)} {
		if err := os.WriteFile(filepath.Join(dir, "log.jsonl"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		_, want, err := train.LogFrom(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := train.LogEnd(dir); err != nil || got != want {
			t.Errorf("of %d bytes, the lines end at %d, not %d, %v", len(text), got, want, err)
		}
	}
}
