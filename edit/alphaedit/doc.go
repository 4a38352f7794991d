// Package alphaedit edits many facts, batch after batch, by changes that lie in
// the directions which preserved keys hardly use.
//
// Values are found and spread over the blocks as by MEMIT (package spread). A
// block's change minimises ‖(W+ΔP)K − V‖² + λ‖ΔP‖² + ‖ΔP·K_p‖², where K_p are
// the keys of earlier batches and P = Û·Ûᵀ projects on the eigenvectors Û [d_ff,
// r] of the second moment C with small eigenvalues. Where the published code
// solves a non-symmetric system of size d_ff in float32, here
//
//	B = Ûᵀ·[K_p K],   X = Û·(B·Bᵀ + λI)⁻¹·Ûᵀ·K,   Δ = R·Xᵀ
//
// is solved in float64 by a Cholesky factor of size r, or of the number of keys
// where these are fewer: (BBᵀ+λI)⁻¹B = B·(BᵀB+λI)⁻¹.
//
// The central type is Editor. Read config.go, alphaedit.go, solve.go; the
// spectrum of C is package stats's, so a threshold costs nothing to change.
//
// Source: Fang et al. 2025, "AlphaEdit: Null-Space Constrained Knowledge Editing
// for Language Models", and its published code.
//
// Promises: X lies in the range of P; keys that P removes get no change. Earlier
// keys are kept, 4·d_ff bytes a fact and block, instead of the matrix K_p·K_pᵀ;
// a fact that is written anew takes its old key's place. A threshold that keeps
// no direction, all, or fewer than there are requests is an error unless forced.
package alphaedit
