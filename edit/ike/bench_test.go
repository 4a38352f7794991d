package ike

import (
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/nn/eager"
)

// BenchmarkAnswer is one edit of SmolLM2-135M with 32 demonstrations, found by
// the sentence encoder, and one answer of five tokens. The pool's vectors are
// computed before.
//
//	go test ./edit/ike -run '^$' -bench Answer -cpuprofile cpu.out
func BenchmarkAnswer(b *testing.B) {
	m, k := lmtest.SmolLM2(b), lmtest.Engine(b, 0)
	pool, err := data.Load(golden.Path(b, "data", "counterfact", "counterfact.jsonl.gz"), data.Options{Split: "train", Limit: 1000})
	if err != nil {
		b.Fatal(err)
	}
	cfg := Default(Paper)
	cfg.Encoder = golden.Path(b, "models", "minilm-l6")
	enc, err := cfg.OpenEncoder(k)
	if err != nil {
		b.Fatal(err)
	}
	defer enc.Close()
	editor, err := New(b.Context(), cfg, pool.Edits, enc)
	if err != nil {
		b.Fatal(err)
	}
	request := edit.Request{ID: "1", Prompt: "The Space Needle is in the city of", Subject: "Space Needle", Target: "Taipei"}
	tokens := 0
	editor.OnContext = func(u Use) { tokens = u.Tokens }
	for b.Loop() {
		d, err := editor.Apply(b.Context(), m, []edit.Request{request})
		if err != nil {
			b.Fatal(err)
		}
		context, err := d.Context(request.Prompt)
		if err != nil {
			b.Fatal(err)
		}
		ids := m.Tokenizer.EncodeSpecial(context + request.Prompt)
		if _, err := m.Generate(eager.New(k), ids, lm.GenerateOptions{Tokens: 5}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(tokens), "context-tokens")
}
