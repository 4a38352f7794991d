package lm_test

import (
	"fmt"
	"math/rand/v2"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn/eager"
)

// A model with fresh weights continues a text, badly.
func Example_generate() {
	texts := []string{"the cat sat on the mat", "the rat sat on the cat"}
	words, err := tokenizer.Train(texts, 280, []string{"<|endoftext|>"})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := lm.New(lm.Config{
		ModelType: "gpt2", Layers: 2, Width: 32, Heads: 2, FFN: 128,
		Vocab: words.Size(), Context: 64, Eps: 1e-5, Tied: true,
	}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	m.Tokenizer = words
	engine, err := kernel.New(kernel.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	prompt := m.Tokenizer.Encode("the cat")
	out, err := m.Generate(eager.New(engine), prompt, lm.GenerateOptions{
		Tokens:  5,
		Sampler: lm.Sampler{Temperature: 0.8, TopK: 10, Seed: 7},
	})
	fmt.Println(len(prompt), "tokens, then", len(out), "more;", err)
	// Output: 2 tokens, then 5 more; <nil>
}

// Layers to edit are named by weight or by a short pattern.
func ExampleModel_FindSites() {
	m, err := lm.New(lm.Config{
		ModelType: "llama", Layers: 4, Width: 16, Heads: 4, KVHeads: 2, FFN: 24,
		Vocab: 11, Context: 8, Eps: 1e-6, Activation: kernel.SiLU,
		Rope: lm.Rope{Base: 10000, Dims: 4},
	}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		fmt.Println(err)
		return
	}
	sites, err := m.FindSites([]string{"mlp@last1", "*.0.self_attn.o_proj"})
	for _, s := range sites {
		fmt.Println(s.Block, s.Role, s.Name)
	}
	fmt.Println(err)
	_, err = m.FindSites([]string{"mlp.dwon"})
	fmt.Println(err)
	// Output:
	// 3 mlp.gate model.layers.3.mlp.gate_proj.weight
	// 3 mlp.up model.layers.3.mlp.up_proj.weight
	// 3 mlp.down model.layers.3.mlp.down_proj.weight
	// 0 attn.out model.layers.0.self_attn.o_proj.weight
	// <nil>
	// site "mlp.dwon": no such linear layer; did you mean "mlp.down"?
}
