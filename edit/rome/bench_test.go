package rome

import (
	"os"
	"path/filepath"
	"testing"

	"keyhole/edit"
	"keyhole/internal/kernel"
	"keyhole/lm"
)

// BenchmarkEdit is one edit of SmolLM2-135M with its safety figures. The
// contexts are made before; statistics, which are read once for many edits, are
// left out.
//
//	go test ./edit/rome -run '^$' -bench Edit -cpuprofile cpu.out
func BenchmarkEdit(b *testing.B) {
	shared := os.Getenv("KEYHOLE_SHARED")
	if shared == "" {
		b.Skip("set KEYHOLE_SHARED to the folder with golden/ and models/ to run this benchmark")
	}
	m, err := lm.Load(filepath.Join(shared, "models", "smollm2-135m", "SmolLM2-135M-Instruct.Q4_1.gguf"))
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	e, err := kernel.New(kernel.Options{})
	if err != nil {
		b.Fatal(err)
	}
	cfg := Default()
	cfg.Covariance = false
	ed, err := New(e, cfg, nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := ed.Contexts(m); err != nil {
		b.Fatal(err)
	}
	requests := []edit.Request{{ID: "1", Prompt: "The Space Needle is in the city of", Subject: "Space Needle", Target: "Taipei"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ed.Apply(b.Context(), m, requests); err != nil {
			b.Fatal(err)
		}
	}
}
