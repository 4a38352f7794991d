package gguf

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"keyhole.example/keyhole/lm/tensorfile"
)

// FuzzGGUF opens any bytes. A file that loads must decode; one that doesn't
// must say why in a FormatError; neither may take much memory.
func FuzzGGUF(f *testing.F) {
	f.Add(full().bytes())
	f.Add(new(builder).bytes())
	if shared := os.Getenv("KEYHOLE_SHARED"); shared != "" {
		for _, pattern := range []string{"*.gguf", "malformed/*.gguf"} {
			seeds, err := filepath.Glob(filepath.Join(shared, "golden", "gguf", pattern))
			if err != nil || len(seeds) == 0 {
				f.Fatalf("no seeds for %s (%v)", pattern, err)
			}
			for _, seed := range seeds {
				data, err := os.ReadFile(seed)
				if err != nil {
					f.Fatal(err)
				}
				const small = 1 << 15 // larger seeds only slow the search down
				if len(data) <= small {
					f.Add(data)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		file, err := parse("fuzz", data)
		runtime.ReadMemStats(&after)
		// Other goroutines of the fuzzer allocate too, hence the constant.
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(32*len(data)+1<<22); got > limit {
			t.Errorf("%d bytes allocated for a file of %d", got, len(data))
		}
		if err != nil {
			var format *tensorfile.FormatError
			if !errors.As(err, &format) {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		for _, name := range file.Names() {
			tensor, ok := file.Tensor(name)
			if !ok {
				t.Fatalf("no tensor %q", name)
			}
			if _, _, err := tensor.FirstNonFinite(); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}
