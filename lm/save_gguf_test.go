package lm

import (
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm/gguf"
	"keyhole.example/keyhole/lm/tensorfile"
)

// TestSaveGGUF changes a weight of each layout and wants it back, and every
// other byte of tensors and metadata as it was.
func TestSaveGGUF_writes_what_was_changed_and_copies_the_rest(t *testing.T) {
	for _, name := range []string{"gpt2", "llama", "qwen3", "phi3", "gpt_neox"} {
		tiny := tinyModel(t, tinyConfigs()[name])
		tiny.Config.WindowFrom = 0
		m := loadModel(t, ggufOf(t, tiny, tiny.arch.gguf).write(t))
		var changed []string
		for _, s := range m.Sites() {
			if s.Block == 1 {
				changed = append(changed, s.Name)
				v := make([]float32, s.Linear.W.Len())
				for i := range v {
					v[i] = float32(i%7)*0.25 - float32(i%3)
				}
				if _, err := s.Linear.W.Replace(v); err != nil {
					t.Fatal(err)
				}
			}
		}
		path := filepath.Join(t.TempDir(), "out.gguf")
		if err := m.SaveGGUF(path, GGUFOptions{Changed: changed}); err != nil {
			t.Fatal(err)
		}
		again := loadModel(t, path)
		for i, p := range again.Params() {
			sameFloats(t, name+" "+p.Name, values(t, p), values(t, m.Params()[i]))
		}
		from, to := m.file.(*gguf.File), again.file.(*gguf.File)
		if strings.Join(from.Keys(), " ") != strings.Join(to.Keys(), " ") || strings.Join(from.Names(), " ") != strings.Join(to.Names(), " ") {
			t.Errorf("%s: other keys or tensors", name)
		}
		halves := 0
		for _, tensor := range to.Names() {
			a, _ := from.Tensor(tensor)
			b, _ := to.Tensor(tensor)
			if b.DType == tensorfile.F16 {
				halves++
			} else if !bytes.Equal(a.Raw, b.Raw) {
				t.Errorf("%s: %s has other bytes", name, tensor)
			}
		}
		if halves != len(changed) {
			t.Errorf("%s: %d tensors are F16, %d were changed", name, halves, len(changed))
		}
	}
}

func TestSaveGGUF_quantises_to_the_nearest_step(t *testing.T) {
	wide := strings.NewReplacer(`"hidden_size": 16`, `"hidden_size": 64`, `"intermediate_size": 24`, `"intermediate_size": 96`)
	tiny := tinyModel(t, wide.Replace(tinyConfigs()["llama"]))
	m := loadModel(t, ggufOf(t, tiny, tiny.arch.gguf).write(t))
	w := m.Sites()[0]
	path := filepath.Join(t.TempDir(), "out.gguf")
	if err := m.SaveGGUF(path, GGUFOptions{Changed: []string{w.Name}, DType: tensorfile.Q8_0}); err != nil {
		t.Fatal(err)
	}
	got, want := values(t, loadModel(t, path).Sites()[0].Linear.W), values(t, w.Linear.W)
	for at := 0; at < len(want); at += 32 {
		peak := 0.0
		for _, v := range want[at : at+32] {
			peak = max(peak, math.Abs(float64(v)))
		}
		for i := at; i < at+32; i++ {
			if off := math.Abs(float64(got[i] - want[i])); off > peak/127*0.51+peak*1e-3 {
				t.Fatalf("element %d is %v, want %v within half a step of %v", i, got[i], want[i], peak/127)
			}
		}
	}
}

func TestSaveGGUF_refuses(t *testing.T) {
	folder := loadModel(t, saved(t, tinyModel(t, tinyConfigs()["llama"]), SaveOptions{}))
	path := filepath.Join(t.TempDir(), "out.gguf")
	if err := folder.SaveGGUF(path, GGUFOptions{}); err == nil || !strings.Contains(err.Error(), "convert_hf_to_gguf.py") {
		t.Errorf("a folder: %v", err)
	}
	tiny := tinyModel(t, tinyConfigs()["llama"])
	m := loadModel(t, ggufOf(t, tiny, tiny.arch.gguf).write(t))
	if err := m.SaveGGUF(path, GGUFOptions{Changed: []string{"no.such.weight"}}); err == nil || !strings.Contains(err.Error(), "no.such.weight") {
		t.Errorf("an unknown weight: %v", err)
	}
	w := m.Sites()[0]
	bad := slices.Clone(values(t, w.Linear.W))
	bad[3] = float32(math.NaN())
	if _, err := w.Linear.W.Replace(bad); err != nil {
		t.Fatal(err)
	}
	if err := m.SaveGGUF(path, GGUFOptions{Changed: []string{w.Name}}); err == nil || !strings.Contains(err.Error(), "element 3 is NaN") {
		t.Errorf("NaN: %v", err)
	}
	if found, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
}
