package lm

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm/gguf"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
)

// ggufBuilder writes a GGUF file of version 3 with F32 tensors.
type ggufBuilder struct {
	keys, infos, data []byte
	count, tensors    uint64
}

func text(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// set adds metadata: uint32, float32, bool or string.
func (b *ggufBuilder) set(key string, v any) {
	b.count++
	b.keys = text(b.keys, key)
	le := binary.LittleEndian
	switch v := v.(type) {
	case uint32:
		b.keys = le.AppendUint32(le.AppendUint32(b.keys, 4), v)
	case float32:
		b.keys = le.AppendUint32(le.AppendUint32(b.keys, 6), math.Float32bits(v))
	case bool:
		b.keys = append(le.AppendUint32(b.keys, 7), map[bool]byte{true: 1}[v])
	case string:
		b.keys = text(le.AppendUint32(b.keys, 8), v)
	}
}

// add adds a tensor, its shape with the outermost dimension first.
func (b *ggufBuilder) add(name string, shape []int, values []float32) {
	b.tensors++
	le := binary.LittleEndian
	b.infos = le.AppendUint32(text(b.infos, name), uint32(len(shape)))
	for i := len(shape) - 1; i >= 0; i-- {
		b.infos = le.AppendUint64(b.infos, uint64(shape[i]))
	}
	b.infos = le.AppendUint64(le.AppendUint32(b.infos, 0), uint64(len(b.data)))
	for _, v := range values {
		b.data = le.AppendUint32(b.data, math.Float32bits(v))
	}
	b.data = append(b.data, make([]byte, (32-len(b.data)%32)%32)...)
}

func (b *ggufBuilder) write(t testing.TB) string {
	t.Helper()
	le := binary.LittleEndian
	out := le.AppendUint32([]byte("GGUF"), 3)
	out = le.AppendUint64(le.AppendUint64(out, b.tensors), b.count)
	out = append(append(out, b.keys...), b.infos...)
	out = append(out, make([]byte, (32-len(out)%32)%32)...)
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, append(out, b.data...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ggufOf writes m as llama.cpp's converter does.
func ggufOf(t testing.TB, m *Model, d *dialect) *ggufBuilder {
	t.Helper()
	b, c := &ggufBuilder{}, &m.Config
	b.set("general.architecture", d.name)
	for key, v := range map[string]any{
		"block_count": uint32(c.Layers), "embedding_length": uint32(c.Width), "feed_forward_length": uint32(c.FFN),
		"attention.head_count": uint32(c.Heads), "attention.head_count_kv": uint32(c.KVHeads), "context_length": uint32(c.Context),
		"attention.layer_norm_epsilon": float32(c.Eps), "attention.layer_norm_rms_epsilon": float32(c.Eps),
		"rope.freq_base": float32(c.Rope.Base), "rope.dimension_count": uint32(c.Rope.Dims),
		"attention.key_length": uint32(c.HeadDim), "use_parallel_residual": c.Parallel, "attention.sliding_window": uint32(c.Window),
	} {
		b.set(d.name+"."+key, v)
	}
	if c.AttnCap > 0 {
		b.set(d.name+".attn_logit_softcapping", float32(c.AttnCap))
		b.set(d.name+".final_logit_softcapping", float32(c.LogitCap))
	}
	if c.Rope.Scaling == scaleLinear {
		b.set(d.name+".rope.scaling.type", scaleLinear)
		b.set(d.name+".rope.scaling.factor", float32(c.Rope.Factor))
	}
	inOut := map[string]bool{}
	for _, s := range m.sites {
		inOut[s.Name] = s.Linear.InOut
	}
	for _, p := range m.params {
		shape := slices.Clone(m.shapes[p.Name])
		v := values(t, p)
		at := d.locate(c, weight{name: p.Name, shape: shape, inOut: inOut[p.Name]})
		stored := slices.Clone(v)
		width := len(v) / shape[0]
		if d.shifted && len(shape) == 1 {
			v = slices.Clone(v)
			for i := range v {
				v[i]++
				stored[i] = v[i]
			}
		}
		for i := range v {
			switch row, col := i/width, i%width; {
			case at.transposed:
				stored[col*shape[0]+row] = v[i]
			case at.row != nil:
				stored[at.row(row)*width+col] = v[i]
			}
		}
		if at.transposed {
			slices.Reverse(shape)
		}
		b.add(at.names[0], shape, stored)
	}
	return b
}

func TestGGUFFilesComputeLikeTheirModels(t *testing.T) {
	eachTiny(t, func(t *testing.T, m *Model) {
		d := m.arch.gguf
		if m.Config.ModelType == "mistral" {
			d = llamaDialect("llama", true)
		}
		switch {
		case d == nil:
			t.Skip("llama.cpp has no such models")
		case m.Config.Rope.Scaling == scaleLlama3:
			t.Skip("its scaling is a tensor of its own")
		case m.Config.ScaleByLayer:
			t.Skip("llama.cpp has no such switch")
		}
		m.Config.WindowFrom = 0 // llama.cpp has no such key
		if m.Config.ModelType == "qwen2" {
			m.Config.Window = 0
		}
		if m.Config.Activation != d.activation {
			t.Fatal("another activation")
		}
		if d.shifted { // the sum is stored, so that only what it can tell comes back
			for _, p := range m.params {
				if v := values(t, p); len(m.shapes[p.Name]) == 1 {
					for i := range v {
						v[i] = (1 + v[i]) - 1
					}
				}
			}
		}
		again := loadModel(t, ggufOf(t, m, d).write(t))
		if again.Config.ModelType != m.Config.ModelType {
			t.Errorf("architecture %s", again.Config.ModelType)
		}
		for i, p := range again.Params() {
			sameFloats(t, p.Name, values(t, p), values(t, m.Params()[i]))
		}
		if m.Config.ModelType == "qwen2" {
			return // the tiny model has a window
		}
		o := testOps(t)
		text := tinyTexts(m)[2]
		sameFloats(t, "logits", forwardStates(t, again, o, text).logits, forwardStates(t, m, o, text).logits)
		folder := loadModel(t, saved(t, again, SaveOptions{}))
		sameFloats(t, "logits of the folder", forwardStates(t, folder, o, text).logits, forwardStates(t, m, o, text).logits)
	})
}

func TestGGUFFilesThatDoNotFitAreRefused(t *testing.T) {
	m := tinyModel(t, tinyConfigs()["llama"])
	cases := []struct {
		name   string
		change func(b *ggufBuilder)
		want   string
	}{
		{"a tensor too many", func(b *ggufBuilder) { b.add("blk.0.attn_rot", []int{1}, []float32{1}) }, "blk.0.attn_rot"},
		{"an unknown scaling", func(b *ggufBuilder) { b.set("llama.rope.scaling.type", "ntk") }, "ntk"},
		{"unknown factors of rope", func(b *ggufBuilder) { b.add(ropeFactors, []int{2}, []float32{3, 2}) }, "no llama3 rope scaling"},
		{"too few factors of rope", func(b *ggufBuilder) { b.add(ropeFactors, []int{1}, []float32{3}) }, "1 factors"},
		{"NaN", func(b *ggufBuilder) {
			binary.LittleEndian.PutUint32(b.data[len(b.data)-32:], math.Float32bits(float32(math.NaN())))
		}, "not a finite number"},
	}
	for _, c := range cases {
		b := ggufOf(t, m, m.arch.gguf)
		c.change(b)
		path := b.write(t)
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
	}
	b := &ggufBuilder{}
	b.set("general.architecture", "mamba")
	path := b.write(t)
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), `"mamba" is not supported in GGUF files (want gpt2, llama`) {
		t.Errorf("another architecture: %v", err)
	}
}

func TestLlama3ScalingIsReadFromItsFactors(t *testing.T) {
	r := Rope{Base: 500000, Dims: 64}
	full := Rope{Base: 500000, Dims: 64, Scaling: scaleLlama3, Factor: 32, LowFreq: 1, HighFreq: 4, Original: 8192}
	var factors []float32
	for _, f := range r.frequencies() {
		factors = append(factors, float32(full.slowdown(float64(f))))
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "r.safetensors")
	if err := safetensors.Write(path, []safetensors.Entry{safetensors.Floats(ropeFactors, []int{32}, factors, tensorfile.F32)}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensor, _ := f.Tensor(ropeFactors)
	if err := r.fromFactors(tensor); err != nil || !reflect.DeepEqual(r, full) {
		t.Errorf("%+v, %v, want %+v", r, err, full)
	}
}

var _ tensorfile.File = (*gguf.File)(nil)
