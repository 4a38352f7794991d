package main

import (
	"errors"
	"strings"
	"testing"
)

// TestAProcessThatNeverJoinedSaysWhy: process 0 whatever it is, another one what it may
// have alone, with its place in the job.
func TestAProcessThatNeverJoinedSaysWhy(t *testing.T) {
	use, alone := wrongUse("no such flag"), &failure{errors.New("no library")}
	for _, c := range []struct {
		rank string
		err  error
		want []string // none: silence
	}{
		{"0", use, []string{"keyhole: no such flag\n"}},
		{"0", alone, []string{"keyhole: no library\n"}},
		{"1", use, nil},
		{"1", alone, []string{"keyhole: process 1 of 2 on ", ": no library\n"}},
	} {
		t.Setenv("PMI_RANK", c.rank)
		t.Setenv("PMI_SIZE", "2")
		var b strings.Builder
		sayUnjoined(&b, c.err)
		if c.want == nil && b.Len() > 0 {
			t.Errorf("process %s, %v: said %q", c.rank, c.err, &b)
		}
		for _, want := range c.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("process %s, %v: said %q, want %q", c.rank, c.err, &b, want)
			}
		}
	}
}
