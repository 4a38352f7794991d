package lm

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/mmap"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn/eager"
)

// TestAFileThatIsCutShortIsNamed wants a fault that names the file, whichever
// goroutine and whichever code, assembly too, finds the bytes gone.
func TestAFileThatIsCutShortIsNamed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files are read whole there")
	}
	wide := strings.NewReplacer(`"hidden_size": 16`, `"hidden_size": 128`, `"vocab_size": 23`, `"vocab_size": 2000`, `"intermediate_size": 24`, `"intermediate_size": 512`)
	for _, dtype := range []tensorfile.DType{tensorfile.F32, tensorfile.F16} {
		for _, threads := range []int{1, 3} {
			m := loadModel(t, saved(t, tinyModel(t, wide.Replace(tinyConfigs()["llama"])), SaveOptions{DType: dtype}))
			path := filepath.Join(m.Path, "model.safetensors")
			if err := os.Truncate(path, 4096); err != nil {
				t.Fatal(err)
			}
			k, err := kernel.New(kernel.Options{Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			err = func() (err error) {
				defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
				defer func() {
					if r := recover(); r != nil {
						err = mmap.Fault(r)
					}
				}()
				_, err = m.Generate(eager.New(k), []int32{1999, 3}, GenerateOptions{Tokens: 2})
				return err
			}()
			var cut *mmap.CutError
			if !errors.As(err, &cut) || cut.Path != path || cut.Is != 4096 {
				t.Errorf("%s, %d threads: %v", dtype, threads, err)
			}
			k.Close()
		}
	}
}

func TestAPipeAmongTheWeightsIsRefused(t *testing.T) {
	m := loadModel(t, saved(t, tinyModel(t, tinyConfigs()["llama"]), SaveOptions{}))
	if err := os.Symlink("/dev/zero", filepath.Join(m.Path, "model-extra.safetensors")); err != nil {
		t.Skip(err)
	}
	if _, err := m.Hash(); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("hash: %v", err)
	}
}
