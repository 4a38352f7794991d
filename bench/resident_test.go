package bench

import (
	"os"
	"testing"
)

func TestResidentMemory(t *testing.T) {
	if _, err := os.Stat(status); err != nil {
		t.Skip(status + " is missing: this system does not tell resident memory")
	}
	r, err := resident()
	if err != nil {
		t.Fatal(err)
	}
	if r.RSS <= 0 || r.Peak < r.Anon || r.Anon+r.File > r.RSS+1 {
		t.Errorf("%+v", r)
	}
}
