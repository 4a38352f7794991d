// Package lmtest opens models and golden tensors for tests, and compares with
// them. What it opens is closed when the test ends; what fails ends the test.
package lmtest

import (
	"math"
	"path/filepath"
	"testing"

	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/lm/tokenizer"
)

// Engine is an engine of so many threads; 0: all cores.
func Engine(t testing.TB, threads int) *kernel.Engine {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// Model loads a model. One without a tokenizer gets that of the folder "model"
// beside it.
func Model(t testing.TB, path string) *lm.Model {
	t.Helper()
	m, err := lm.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	if m.Tokenizer == nil {
		if m.Tokenizer, err = tokenizer.Load(filepath.Join(filepath.Dir(path), "model")); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// SmolLM2 is the real model beside the golden values; without them the test is
// skipped.
func SmolLM2(t testing.TB) *lm.Model {
	t.Helper()
	found, err := filepath.Glob(golden.Path(t, "models", "smollm2-135m", "*.gguf"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no GGUF file of SmolLM2 (%v)", err)
	}
	return Model(t, found[0])
}

// Tensors reads tensors whose names begin with Prefix from a safetensors file.
type Tensors struct {
	Prefix string
	t      testing.TB
	f      *safetensors.File
}

// Open opens a file of tensors.
func Open(t testing.TB, path, prefix string) Tensors {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return Tensors{prefix, t, f}
}

// Has says whether there is such a tensor.
func (g Tensors) Has(name string) bool {
	_, ok := g.f.Tensor(g.Prefix + name)
	return ok
}

// Floats are a tensor's values, row by row.
func (g Tensors) Floats(name string) []float32 {
	g.t.Helper()
	v, err := g.tensor(name).Float32()
	if err != nil {
		g.t.Fatal(err)
	}
	return v
}

// Ints are a tensor's values, row by row.
func (g Tensors) Ints(name string) []int64 {
	g.t.Helper()
	v, err := g.tensor(name).Int64()
	if err != nil {
		g.t.Fatal(err)
	}
	return v
}

// Cols is the length of a tensor's rows.
func (g Tensors) Cols(name string) int {
	g.t.Helper()
	return g.tensor(name).RowElements()
}

// File is the file they are in.
func (g Tensors) File() *safetensors.File { return g.f }

func (g Tensors) tensor(name string) *tensorfile.Tensor {
	g.t.Helper()
	x, ok := g.f.Tensor(g.Prefix + name)
	if !ok {
		g.t.Fatalf("%s has no %s", g.f.Path(), g.Prefix+name)
	}
	return x
}

// Near fails the test where a difference is more than relative times the largest
// magnitude of want, plus absolute.
func Near(t testing.TB, what string, got, want []float32, relative, absolute float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	largest, worst := 0.0, 0.0
	for i := range want {
		largest = math.Max(largest, math.Abs(float64(want[i])))
		worst = math.Max(worst, math.Abs(float64(got[i])-float64(want[i])))
	}
	if limit := relative*largest + absolute; !(worst <= limit) {
		t.Errorf("%s: differs by %.3g, of the largest %.3g; want at most %.3g", what, worst, largest, limit)
	}
}
