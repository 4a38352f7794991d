package resident

import (
	"os"
	"testing"
)

func TestResidentMemory(t *testing.T) {
	if _, err := os.Stat(status); err != nil {
		t.Skip(status + " is missing: this system does not tell resident memory")
	}
	r, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	if r.RSS <= 0 || r.Peak < r.Anon || r.Anon+r.File > r.RSS+1 {
		t.Errorf("%+v", r)
	}
	if p := PeakBytes(); float64(p) < r.Peak*(1<<20) {
		t.Errorf("the peak fell from %v MiB to %d bytes", r.Peak, p)
	}
}
