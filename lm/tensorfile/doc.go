// Package tensorfile describes tensors as they lie in a file of weights: a
// name, an element type, a shape and the raw bytes. It decodes those bytes,
// quantised ones included, to float32.
//
// The central type is Tensor; File is what a reader of any format offers (the
// packages lm/safetensors and lm/gguf have one each), and FormatError is what all of
// them return for a file that breaks its format.
//
// Read tensor.go first, then dtype.go, then float16.go, blocks.go (blocks of
// 32 values), kquants.go and ternary.go (blocks of 256); decode_amd64.s, written
// by the generator in asm, does the commonest types again with vectors.
//
// Source of the quantised layouts and of the order of operations: ggml's
// dequantize_row functions (ggml-quants.c).
//
// Promises: values are equal in float32 to those of ggml; products are rounded
// before they are added on every processor (no fused multiply-add), and the
// vector code gives the same bytes; DecodeRows
// doesn't allocate; nothing here writes to a tensor's bytes; reading one
// tensor from many goroutines is safe.
package tensorfile
