package saved

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/nn"
)

// TestAdapter_adds_what_the_edit_adds compares W + B·A with the edited weight,
// for low-rank changes, two of them to one weight, and new values.
func TestAdapter_adds_what_the_edit_adds(t *testing.T) {
	for _, text := range []string{
		`{"model_type": "llama", "num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 11, "max_position_embeddings": 16, "intermediate_size": 12}`,
		`{"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 11, "n_positions": 16, "n_inner": 12}`,
	} {
		c, err := lm.ParseConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		m, err := lm.New(c, rng)
		if err != nil {
			t.Fatal(err)
		}
		random := func(rows, cols int) kernel.Matrix {
			x := zeros(rows, cols)
			for i := range x.Data {
				x.Data[i] = float32(rng.NormFloat64())
			}
			return x
		}
		down, up := m.DefaultSites(1)[0], m.DefaultSites(1)[1]
		e := &edit.Edited{Editor: "test"}
		for _, rank := range []int{1, 2} {
			e.Changes = append(e.Changes, edit.Change{Weight: down.Name, Delta: &nn.Delta{U: random(rank, down.Linear.In), D: random(rank, down.Linear.Out), Scale: 0.5}})
		}
		e.Changes = append(e.Changes, edit.Change{Weight: up.Name, Values: random(1, up.Linear.W.Len()).Data})
		dir := t.TempDir()
		if err := writeAdapter(dir, "base", m, e, 0); err == nil {
			t.Error("an element type of nothing was written")
		}
		dir = t.TempDir()
		dtype, _ := ParseDType("f32")
		if err := writeAdapter(dir, "base", m, e, dtype); err != nil {
			t.Fatal(err)
		}
		f, err := safetensors.Open(filepath.Join(dir, adapterWeights))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		factor := func(weight, which string) kernel.Matrix {
			tensor, ok := f.Tensor("base_model.model." + weight[:len(weight)-len(".weight")] + ".lora_" + which + ".weight")
			if !ok {
				t.Fatalf("no factor %s of %s in %v", which, weight, f.Names())
			}
			v, err := tensor.Float32()
			if err != nil {
				t.Fatal(err)
			}
			return kernel.Mat(v, tensor.Shape[0], tensor.Shape[1])
		}
		before := map[string][]float32{}
		for _, s := range []lm.Site{down, up} {
			v, err := s.Linear.W.Values()
			if err != nil {
				t.Fatal(err)
			}
			before[s.Name] = append([]float32(nil), v...)
		}
		k, err := kernel.New(kernel.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		if _, err := e.Install(m, k); err != nil {
			t.Fatal(err)
		}
		for _, s := range []lm.Site{down, up} {
			a, b := factor(s.Name, "A"), factor(s.Name, "B")
			after, _ := s.Linear.W.Values()
			for j := range s.Linear.Out {
				for i := range s.Linear.In {
					at := j*s.Linear.In + i
					if s.Linear.InOut {
						at = i*s.Linear.Out + j
					}
					sum := float64(before[s.Name][at])
					for r := range a.Rows {
						sum += float64(b.Data[j*b.Cols+r]) * float64(a.Data[r*a.Cols+i])
					}
					if math.Abs(sum-float64(after[at])) > 1e-5 {
						t.Fatalf("%s [%d, %d]: %v, want %v", s.Name, j, i, sum, after[at])
					}
				}
			}
		}
		raw, err := os.ReadFile(filepath.Join(dir, adapterConfig))
		if err != nil {
			t.Fatal(err)
		}
		var config struct {
			Ranks  map[string]int `json:"rank_pattern"`
			Alphas map[string]int `json:"alpha_pattern"`
			FanIn  bool           `json:"fan_in_fan_out"`
		}
		if err := json.Unmarshal(raw, &config); err != nil {
			t.Fatal(err)
		}
		module := down.Name[:len(down.Name)-len(".weight")]
		if config.Ranks[module] != 3 || config.Alphas[module] != 3 || config.FanIn != down.Linear.InOut {
			t.Errorf("%s", raw)
		}
	}
}

func TestCheckFormat(t *testing.T) {
	for _, c := range []struct {
		format, dtype string
		ok            bool
	}{{HF, "f32", true}, {GGUF, "q8_0", true}, {PEFT, "bf16", true}, {HF, "q8_0", false}, {PEFT, "q8_0", false}, {"onnx", "f32", false}, {HF, "f64", false}} {
		if err := CheckFormat(c.format, c.dtype); (err == nil) != c.ok {
			t.Errorf("%s, %s: %v", c.format, c.dtype, err)
		}
	}
}
