// Package nn is the vocabulary in which a language model is written once and
// computed in several ways.
//
// A model calls the methods of Ops on values of an abstract type T. The
// interpreter nn/eager computes at once on float32 rows (prefix, generation,
// tracing, evaluation); nn/graph builds the nodes of a graph (the differentiable
// suffix, pretraining, ROME's v*). Both call the kernels of internal/kernel,
// so they agree to the bit.
//
// Read ops.go (the interface), then param.go (weights), then sequences.go
// (packed texts) and keys.go (what attention sees of earlier rows).
//
// Values are matrices, [rows, width]; rows are the tokens of several texts
// laid one after another (packed, never padded).
package nn
