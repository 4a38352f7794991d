package lm

import (
	"encoding/json"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// familyCase is a tiny model that testdata/make_families.py ran in
// transformers.
type familyCase struct {
	Name    string
	Config  json.RawMessage
	Tensors []struct {
		Name  string
		Shape []int
	}
	IDs    []int32
	Rows   []int32
	Logits [][]float32
	Greedy []int32
}

func familyCases(t *testing.T) map[string][]familyCase {
	t.Helper()
	paths, err := filepath.Glob("testdata/families-*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no testdata/families-*.json (%v)", err)
	}
	all := map[string][]familyCase{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var g struct {
			Transformers string
			Cases        []familyCase
		}
		if err := json.Unmarshal(data, &g); err != nil {
			t.Fatal(err)
		}
		all[g.Transformers] = g.Cases
	}
	return all
}

// filled makes the weight that fill of make_families.py makes.
func filled(name string, shape []int, shifted bool) []float32 {
	n := 1
	for _, d := range shape {
		n *= d
	}
	seed := crc32.ChecksumIEEE([]byte(name))
	out := make([]float32, n)
	for i := range out {
		x := seed + uint32(i)*2654435761
		for _, s := range []int{16, 15} {
			x ^= x >> s
			x *= 0x85ebca6b
		}
		x ^= x >> 16
		v := float32(float64(x)/(1<<32) - 0.5)
		if len(shape) == 1 {
			v *= 0.25
			if !shifted && strings.HasSuffix(name, "norm.weight") {
				v++
			}
		}
		out[i] = v
	}
	return out
}

// load writes the model's folder and opens it.
func (c *familyCase) load(t *testing.T) *Model {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, configName), c.Config, 0o600); err != nil {
		t.Fatal(err)
	}
	var entries []safetensors.Entry
	for _, w := range c.Tensors {
		entries = append(entries, safetensors.Floats(w.Name, w.Shape, filled(w.Name, w.Shape, strings.HasPrefix(c.Name, "gemma")), tensorfile.F32))
	}
	if err := safetensors.WriteModel(dir, entries, map[string]string{"format": "pt"}, shardBytes); err != nil {
		t.Fatal(err)
	}
	return loadModel(t, dir)
}

// logitsOf runs a text and returns the logits of some rows.
func logitsOf(t *testing.T, m *Model, ids, rows []int32) [][]float32 {
	t.Helper()
	o := eager.New(engine(t))
	want := &nn.RowSet{V: rows, Tasks: []nn.Range{{Lo: 0, Hi: len(rows)}}}
	o.SetTasks([]nn.Range{{Lo: 0, Hi: len(ids)}})
	logits := m.Logits(o, Forward(o, m, &nn.IDs{V: ids}, nn.Pack(len(ids)), want))
	if err := o.Err(); err != nil {
		t.Fatal(err)
	}
	out := make([][]float32, len(rows))
	for i := range out {
		out[i] = slices.Clone(logits.Data[i*logits.Stride : i*logits.Stride+logits.Cols])
	}
	return out
}

func engine(t *testing.T) *kernel.Engine {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// TestGoldenFamilies compares logits and greedy texts with transformers, as
// loaded and as saved and loaded again.
func TestGoldenFamilies(t *testing.T) {
	for version, cases := range familyCases(t) {
		if len(cases) < 10 {
			t.Errorf("%s: %d cases", version, len(cases))
		}
		for _, c := range cases {
			t.Run(c.Name+", "+version, func(t *testing.T) {
				m := c.load(t)
				c.check(t, m)
				c.check(t, loadModel(t, saved(t, m, SaveOptions{})))
				m.settings = nil // as from a GGUF file
				c.check(t, loadModel(t, saved(t, m, SaveOptions{})))
			})
		}
	}
}

func (c *familyCase) check(t *testing.T, m *Model) {
	t.Helper()
	largest, worst := 0.0, 0.0
	for i, row := range logitsOf(t, m, c.IDs, c.Rows) {
		if len(row) != len(c.Logits[i]) {
			t.Fatalf("%d logits, want %d", len(row), len(c.Logits[i]))
		}
		for j, want := range c.Logits[i] {
			largest = max(largest, math.Abs(float64(want)))
			worst = max(worst, math.Abs(float64(row[j]-want)))
		}
	}
	if !(worst <= 1e-4*largest) {
		t.Errorf("logits differ by %.2g, the largest is %.2g", worst, largest)
	}
	out, err := m.Generate(eager.New(engine(t)), c.IDs[:6], GenerateOptions{Tokens: len(c.Greedy)})
	if err != nil || !slices.Equal(out, c.Greedy) {
		t.Errorf("continued by %v, want %v (%v)", out, c.Greedy, err)
	}
}
