// Package hypernet holds the networks that learn to edit: they map the
// rank-one factors of an edit's gradient (u, the input of an edited layer,
// and δ, the gradient at its output, one pair per token) to factors ũ, δ̃ of
// a better update, W' = W ∓ α·Σ δ̃ũᵀ.
//
// The central type is Net: a list of groups, one per weight shape (or per
// weight), each with a Normaliser and residual low-rank layers, and one
// learned step size α per edited weight. Read net.go, normaliser.go,
// layer.go, factors.go.
//
// Source: Mitchell et al. 2022 (MEND), section 3, and its reference
// implementation; where the two differ the implementation is followed.
//
// Promises: all that training changes is reachable by Walk and Normaliser
// state, so a checkpoint forgets nothing; a network with `init: id` returns
// the normalised factors unchanged until it is trained.
package hypernet
