// Package spread writes facts into the MLPs of several blocks: what MEMIT and
// AlphaEdit share.
//
// For each request the output z of the last edited block at the looked-up token
// is found that makes the model say the target (package keyvalue). Then, block
// after block, a share of what is still missing, R [requests, d_model], is
// written into the MLP's second linear layer as Δ = Rᵀ·Xᵀ, where X [d_ff,
// requests] is what a System makes of the requests' keys and of those of earlier
// edits.
//
// The central type is Editor, which makes edits by a Method. Read config.go,
// editor.go, history.go (keys of earlier edits), spread.go.
//
// Source: Meng et al. 2023, "Mass-Editing Memory in a Transformer", section 4.
//
// Promises: with a History, solving round after round gives the update that
// solving for all rounds at once would give for the same keys and values (the
// recursive least-squares identity; tested). Apply leaves the model as it was, but
// replaces weights meanwhile.
package spread
