// Package nearest keeps edits in a store of keys and values instead of in a
// weight: where a layer's input is near enough to an edit's key, the edit's value
// is added to what the layer gives.
//
// Another editor, such as ROME, makes each edit: a low-rank change Δ of one
// layer's weight. Its key k [in] is the layer's input at that token of the prompt
// where Δ answers most, its value is Δ·k [out]. A row x gets the value of the key
// with the largest cosine to it, if that passes the key's own threshold, which
// lies between 1 and the largest cosine to rows of prompts that have nothing to
// do with the edit.
//
// The central types are Editor and Store. Read store.go, nearest.go.
//
// Sources: NeuralDB (Fei et al. 2025, "NeuralDB: Scaling Knowledge Editing in
// LLMs to 100,000 Facts with Neural KV Database"), a gated store of values; the
// threshold of each fact is measured at the edit.
//
// Promises: edits do not depend on one another, so Forget gives to the byte the
// store that never had an edit; a row that passes no threshold gets what the
// unedited layer gives.
package nearest
