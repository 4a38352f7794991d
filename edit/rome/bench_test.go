package rome

import (
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm/lmtest"
)

// BenchmarkEdit is one edit of SmolLM2-135M with its safety figures. The
// contexts are made before; statistics, which are read once for many edits, are
// left out.
//
//	go test ./edit/rome -run '^$' -bench Edit -cpuprofile cpu.out
func BenchmarkEdit(b *testing.B) {
	m, k := lmtest.SmolLM2(b), lmtest.Engine(b, 0)
	cfg := Default()
	cfg.Covariance = false
	ed, err := New(k, cfg, nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := ed.contexts.Of(m, k, cfg.Contexts); err != nil {
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
