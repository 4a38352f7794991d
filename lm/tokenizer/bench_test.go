package tokenizer

import (
	"strings"
	"testing"
)

// BenchmarkEncode encodes short questions, mostly of words seen before.
func BenchmarkEncode(b *testing.B) {
	tok := trained(b)
	const text = "What is the mother tongue of Danielle Darrieux, who died in 2017?"
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"question", func() { tok.Encode(text) }},
		{"question-offsets", func() { tok.EncodeOffsets(text) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				c.run()
			}
		})
	}
}

// BenchmarkLongWord encodes a word of 64 KiB, which must not take quadratic
// time.
func BenchmarkLongWord(b *testing.B) {
	tok := trained(b)
	text := strings.Repeat("mother", 11000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Encode(text)
	}
}
