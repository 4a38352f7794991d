// Package kernel holds the float32 kernels that everything else computes
// with: matrix products, row-wise normalisations, activations, softmax, the
// optimiser's update, and the worker pool that spreads them over threads.
//
// Read engine.go (threads and choice of matrix product), gemm.go (what a
// product is), gemm_blocked.go (how it is computed), pool.go (the threads),
// then the rest by name. The assembly is written by the generators in asm and
// vecasm.
//
// Promises: every element of a result is summed in one fixed order that
// depends on neither the number of threads nor on which other rows share the
// call, so a row's result is the same bytes alone or in a batch.
package kernel
