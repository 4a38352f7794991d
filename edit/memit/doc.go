// Package memit edits many facts at once by changes of several blocks:
// Mass-Editing Memory in a Transformer.
//
// Values are found and spread over the blocks by package spread; what is still
// missing, R, is written into a block by least squares:
//
//	Δ = R·Kᵀ·(λ·C + K·Kᵀ)⁻¹
//
// where K holds the requests' keys in the model as changed so far, C is the
// second moment of the layer's inputs, and λ weighs old facts against new ones.
// By Woodbury's identity, (λ·C + K·Kᵀ)⁻¹·K = C⁻¹·K·(λ·I + Kᵀ·C⁻¹·K)⁻¹, the
// system has the size of the batch. With history, K·Kᵀ sums over the keys of
// earlier rounds too, and rounds add up to the solution of all facts at once.
//
// The central type is Editor. Read config.go, memit.go, solve.go.
//
// Source: Meng et al. 2023, "Mass-Editing Memory in a Transformer", and its
// published code.
//
// Promises: systems are solved in float64 by Cholesky factors. A batch that would
// ruin the model is an error with its figures, unless forced. Apply leaves the
// model as it was, but replaces weights while it runs: nothing else may compute
// with the model meanwhile.
package memit
