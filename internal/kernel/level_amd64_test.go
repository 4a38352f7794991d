package kernel

import "testing"

// eachLevel runs f once with each set of primitives this machine can run.
// Tests that use it do not run in parallel.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	best := level
	defer func() { level = best }()
	for l := plainGo; l <= best; l++ {
		level = l
		t.Run(l.String(), f)
	}
}
