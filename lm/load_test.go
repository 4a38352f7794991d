package lm

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn"
)

// rewrite saves m with its weights put through change, which may return
// another name or shape, or no entry at all.
func rewrite(t testing.TB, m *Model, change func(name string, shape []int, v []float32) []safetensors.Entry) string {
	t.Helper()
	dir := saved(t, m, SaveOptions{})
	var entries []safetensors.Entry
	for _, p := range m.params {
		entries = append(entries, change(p.Name, m.shapes[p.Name], slices.Clone(values(t, p)))...)
	}
	if err := safetensors.WriteModel(dir, entries, map[string]string{"format": "pt"}, 0); err != nil {
		t.Fatal(err)
	}
	return dir
}

func one(name string, shape []int, v []float32, d tensorfile.DType) []safetensors.Entry {
	return []safetensors.Entry{safetensors.Floats(name, shape, v, d)}
}

func TestLoadRefusesWeightsThatDoNotFit(t *testing.T) {
	m := tinyModel(t, tinyConfigs()["gpt2"])
	const target = "transformer.h.1.mlp.c_fc.weight"
	nan := float32(math.NaN())
	cases := []struct {
		name   string
		change func(name string, shape []int, v []float32) []safetensors.Entry
		want   []string
	}{
		{"missing", func(name string, shape []int, v []float32) []safetensors.Entry {
			if name == target {
				return nil
			}
			return one(name, shape, v, tensorfile.F32)
		}, []string{target, "is missing"}},
		{"misshaped", func(name string, shape []int, v []float32) []safetensors.Entry {
			if name == target {
				shape = []int{64, 16}
			}
			return one(name, shape, v, tensorfile.F32)
		}, []string{target, "[64 16]", "[16 64]"}},
		{"surplus", func(name string, shape []int, v []float32) []safetensors.Entry {
			if name == target {
				return append(one(name, shape, v, tensorfile.F32), one("transformer.h.9.extra", []int{2}, []float32{1, 2}, tensorfile.F32)...)
			}
			return one(name, shape, v, tensorfile.F32)
		}, []string{"transformer.h.9.extra", "not part of this architecture"}},
		{"integers", func(name string, shape []int, v []float32) []safetensors.Entry {
			if name == target {
				return []safetensors.Entry{safetensors.Ints(name, shape, make([]int64, len(v)))}
			}
			return one(name, shape, v, tensorfile.F32)
		}, []string{target, "holds I64"}},
		{"NaN in F32", func(name string, shape []int, v []float32) []safetensors.Entry {
			if name == target {
				v[17] = nan
			}
			return one(name, shape, v, tensorfile.F32)
		}, []string{target, "element 17"}},
		{"NaN in F16", func(name string, shape []int, v []float32) []safetensors.Entry {
			if name == target {
				v[17] = nan
			}
			return one(name, shape, v, tensorfile.F16)
		}, []string{target, "element 17"}},
		{"infinity in BF16", func(name string, shape []int, v []float32) []safetensors.Entry {
			if name == target {
				v[17] = float32(math.Inf(-1))
			}
			return one(name, shape, v, tensorfile.BF16)
		}, []string{target, "element 17"}},
		{"a head that is not the embedding", func(name string, shape []int, v []float32) []safetensors.Entry {
			entry := one(name, shape, v, tensorfile.F32)
			if name == "transformer.wte.weight" {
				v = slices.Clone(v)
				v[0]++
				entry = append(entry, one("lm_head.weight", shape, v, tensorfile.F32)...)
			}
			return entry
		}, []string{"lm_head.weight", "tie_word_embeddings"}},
	}
	for _, c := range cases {
		dir := rewrite(t, m, c.change)
		_, err := Load(dir)
		if err == nil {
			t.Errorf("%s: loaded", c.name)
			continue
		}
		for _, want := range append(c.want, dir) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", c.name, err, want)
			}
		}
	}
}

func TestLoadAcceptsOlderNames(t *testing.T) {
	m := tinyModel(t, tinyConfigs()["gpt2"])
	dir := rewrite(t, m, func(name string, shape []int, v []float32) []safetensors.Entry {
		entries := one(strings.TrimPrefix(name, "transformer."), shape, v, tensorfile.F32)
		switch name {
		case "transformer.wte.weight":
			entries = append(entries, one("lm_head.weight", shape, v, tensorfile.F32)...)
		case "transformer.h.0.ln_1.weight":
			entries = append(entries, one("h.0.attn.bias", []int{1, 1, 2, 2}, make([]float32, 4), tensorfile.F32)...)
			entries = append(entries, one("h.0.attn.masked_bias", []int{1}, make([]float32, 1), tensorfile.F32)...)
		}
		return entries
	})
	again := loadModel(t, dir)
	if again.Params()[0].Name != "transformer.wte.weight" {
		t.Errorf("first weight %s", again.Params()[0].Name)
	}
}

func TestLoadNamesWhatIsNoModel(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "absent"), filepath.Join(dir, "text.gguf")} {
		if strings.HasSuffix(path, ".gguf") {
			if err := os.WriteFile(path, []byte("no model"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestStreamedWeightsComputeTheSame(t *testing.T) {
	m := tinyModel(t, tinyConfigs()["llama"])
	dir := saved(t, m, SaveOptions{DType: tensorfile.F16})
	o := testOps(t)
	kept := loadModel(t, dir)
	text := tinyTexts(m)[2]
	want := forwardStates(t, kept, o, text).logits
	streamed := loadModel(t, dir)
	streamed.SetStreaming(2, true)
	sameFloats(t, "logits", forwardStates(t, streamed, o, text).logits, want)
	for _, s := range streamed.Sites() {
		if s.Linear.W.Resident() != (s.Block == 2) {
			t.Errorf("%s: resident %t", s.Name, s.Linear.W.Resident())
		}
	}
	streamed.SetStreaming(2, false)
	sameFloats(t, "logits", forwardStates(t, streamed, o, text).logits, want)
	if !streamed.Sites()[0].Linear.W.Resident() {
		t.Error("not kept after streaming was switched off")
	}
}

func TestQuantisedScalesAreChecked(t *testing.T) {
	for d := tensorfile.F32; d <= tensorfile.TQ2_0; d++ {
		if !d.Quantised() {
			continue
		}
		values, size := d.Block()
		tensor := &tensorfile.Tensor{Name: "w", DType: d, Shape: []int{2, values}, Raw: make([]byte, 2*size)}
		if err := CheckFinite([]*tensorfile.Tensor{tensor}); err != nil {
			t.Errorf("%s: zeros: %v", d, err)
		}
		offsets := scaleOffsets(d)
		if offsets == nil {
			t.Errorf("%s: no place of a scale is known", d)
		}
		for _, at := range offsets {
			raw := slices.Clone(tensor.Raw)
			for i := range raw {
				raw[i] = 0x11 // values and minimums that a scale multiplies
			}
			raw[size+at], raw[size+at+1] = 0x00, 0x7e
			bad := &tensorfile.Tensor{Name: "w", DType: d, Shape: tensor.Shape, Raw: raw}
			err := CheckFinite([]*tensorfile.Tensor{tensor, bad})
			if err == nil || !strings.Contains(err.Error(), "tensor w") {
				t.Errorf("%s: NaN as the scale at byte %d: %v", d, at, err)
			}
		}
	}
}

func TestTransposedAndReorderedRows(t *testing.T) {
	raw := make([]float32, 5*40)
	for i := range raw {
		raw[i] = float32(i)
	}
	stored := safetensors.Floats("w", []int{40, 5}, raw, tensorfile.F32)
	dir := t.TempDir()
	if err := safetensors.Write(filepath.Join(dir, "w.safetensors"), []safetensors.Entry{stored}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(dir, "w.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensor, _ := f.Tensor("w")
	got := make([]float32, 3*40)
	if err := transposedRows(tensor)(got, 1, 3); err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if want := float32(i%40*5 + 1 + i/40); v != want {
			t.Fatalf("element %d is %v, want %v", i, v, want)
		}
	}
	p := nn.NewLazyParam("w", 40, 5, reorderedRows(tensor, func(row int) int { return 39 - row }))
	if v := values(t, p); v[0] != 39*5 || v[39*5+4] != 4 {
		t.Errorf("first %v, last %v", v[0], v[39*5+4])
	}
}
