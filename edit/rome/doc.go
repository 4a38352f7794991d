// Package rome edits one fact by one closed-form change of one weight: Rank-One
// Model Editing.
//
// An MLP's second linear layer W is seen as a memory that answers keys K with
// values V in the least-squares sense, W·K·Kᵀ = V·Kᵀ. The closest memory that
// also answers k* with v* minimises ‖Ŵ·K − V‖² subject to Ŵ·k* = v*. With
// C = K·Kᵀ and a Lagrange multiplier Λ this is (Ŵ − W)·C = Λ·k*ᵀ, so
//
//	Ŵ = W + Λ·(C⁻¹·k*)ᵀ,   Λ = (v* − W·k*) / ((C⁻¹·k*)ᵀ·k*).
//
// k* is the layer's input at the subject's last token, averaged over contexts; v*
// is found by gradient descent (package keyvalue); C is the second moment of the
// layer's inputs over text (package stats): what must not change.
//
// Three variants differ in the key that C⁻¹ is applied to and the key and value
// that the constraint holds for (Config.KeyMode):
//
//	random_prefix  mean, mean   r-ROME, the default: the divisor is never negative
//	original       mean, bare   ROME as published: some edits ruin the model
//	prompt         bare, bare   p-ROME
//
// The central type is Editor. Read config.go, rome.go, update.go (the closed
// form), safety.go (figures and limits).
//
// Sources: Meng et al. 2022, "Locating and Editing Factual Associations in GPT";
// Gupta et al. 2024, "Rebuilding ROME".
//
// Promises: a list of requests is edited one after another, each in the model
// with the earlier ones made. Systems are solved by a Cholesky factor, never by
// an inverse. An edit that would ruin the model is an error with its figures,
// unless forced. Apply leaves the model as it was, but replaces weights while it
// runs: nothing else may compute with the model meanwhile.
package rome
