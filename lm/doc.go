// Package lm is base language models: their shapes, their named weights, how
// they compute, and how they are read and written.
//
// The central type is Model. Read config.go and model.go, then forward.go (the
// way through a network), arch.go (the list of architectures) and one
// architecture, arch_gpt2.go or arch_llama.go; then load.go, source.go and
// gguf_model.go (where weights come from), new.go (fresh ones), weights.go (those of other networks), site.go
// (layers that can be edited), save.go and generate.go. config_json.go reads
// config.json, rope.go makes the tables of rotary positions, finite.go looks
// for NaN, hash.go identifies a model.
//
// A network is written once, over nn.Ops: the functions Embed, Blocks,
// FinalNorm and Forward are generic over the interpreter.
//
// # Sites
//
// Every linear layer of a block is a Site, named by its Hugging Face weight.
// FindSites takes names and patterns:
//
//	transformer.h.5.mlp.c_fc.weight              a name; ".weight" may be left out
//	mlp.down                                     a role, in every block
//	mlp.down@last3  mlp.up@first2                the last 3, the first 2 blocks
//	mlp.down@4  mlp.down@4-6                     block 4, blocks 4 to 6
//	mlp@last3  attn@last3  all@last3             every layer of the kind
//	*.mlp.down_proj.weight                       * and ? stand for any text, any byte
//	model.layers.{27..29}.mlp.{up,down}_proj     ranges and choices
//
// Roles are attn.qkv, attn.q, attn.k, attn.v, attn.out, mlp.gate, mlp.up and
// mlp.down. Short patterns give the layers of a block in the order of MEND's
// shipped configurations (GPT-2: down before up), names and globs in the order
// of computation.
//
// # Sources
//
// The wiring is that of transformers 4.36 (Qwen2 and llama3's rope scaling:
// later versions), the layouts of GGUF files those of llama.cpp's converter.
//
// # Promises
//
// Logits agree with the reference to 1e-4 of the largest. A row's result is the
// same bytes alone, in a batch, or with the keys and values of earlier tokens
// kept. Loading decodes nothing but vectors; a damaged file, a config that
// doesn't fit its weights, a NaN among them are errors that name the file. An
// architecture never asks a file's format, and nothing outside arch_*.go and
// arch.go asks for the architecture.
package lm
