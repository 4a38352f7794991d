// Package gated keeps each edit of another editor by itself, and uses it whole in
// the texts that hold its key.
//
// Another editor, best a learned one, makes each edit of the base model: low-rank
// changes Δ of one or several layers. The edit's key k [in] is the input of the
// gate, a layer at or before the first changed one, at the subject's last token
// (or the prompt's). A text gets the changes of the edit whose key has the largest
// cosine to a row of the text's prompt, if that passes the key's own threshold,
// which lies between 1 and the largest cosine to rows of prompts that have nothing
// to do with the edit. All rows of the text get them, as if the weights had been
// changed for this text alone; other texts get what the base model gives.
//
// The central types are Editor and Store. Read store.go, gated.go.
//
// Sources: the gate of NeuralDB (Fei et al. 2025), which keeps values of one layer
// by row; SERAC (Mitchell et al. 2022), which decides by text. Package nearest is
// the store of values by row.
//
// Promises: edits do not depend on one another, so neither their order nor their
// number changes one, and Forget gives to the byte the store that never had an
// edit; a text that passes no threshold is computed as without edits.
package gated
