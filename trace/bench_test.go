package trace

import (
	"testing"

	"keyhole.example/keyhole/lm/lmtest"
)

// BenchmarkTrace compares the incremental table with one whole run a cell, on
// a prompt of 15 to 18 tokens, 10 samples, hidden states.
func BenchmarkTrace(b *testing.B) {
	m := lmtest.SmolLM2(b)
	tr, err := New(m, lmtest.Engine(b, 0), Default(), nil)
	if err != nil {
		b.Fatal(err)
	}
	q := Query{Prompt: "The Space Needle is a famous tower that stands in the middle of the city of", Subject: "Space Needle"}
	r, err := tr.start(q)
	if err != nil {
		b.Fatal(err)
	}
	if err := r.clean(); err != nil {
		b.Fatal(err)
	}
	c, err := tr.corruption(q, r.first, r.end, r.result)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d tokens, %d blocks", len(r.ids), m.Config.Layers)
	cells := float64(len(r.ids) * m.Config.Layers)
	b.Run("incremental", func(b *testing.B) {
		for b.Loop() {
			if err := r.corrupted(c); err != nil {
				b.Fatal(err)
			}
			if err := r.table(b.Context(), nil); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(cells*float64(b.N)/b.Elapsed().Seconds(), "cells/s")
	})
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.plain(c); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(cells*float64(b.N)/b.Elapsed().Seconds(), "cells/s")
	})
}
