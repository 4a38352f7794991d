// Package stats is second moments of what enters linear layers: C = E[k·kᵀ] over
// the tokens of a text, the measure of what an edit by ROME or MEMIT must leave
// alone.
//
// The central type is Moment. Read moment.go (the sum and its factorisation),
// collect.go (going over a text), corpus.go (which texts), file.go (keeping it).
//
// Source: Meng et al. 2022, "Locating and Editing Factual Associations in GPT",
// section 3.1: neither centred nor damped. A budget is counted in tokens, for
// each is one vector; 2 to 10 times the layer's width suffice.
//
// A file is safetensors: "sum" (F64), the upper triangle of Σ k·kᵀ row by row,
// and metadata: format keyhole-moment-1, model (lm.Model.Hash), site, corpus
// (SHA-256 of the plain text), seed, budget, context, width, tokens, texts.
//
// Promises: blocks of float32 products are added up in float64, in an order that
// depends on nothing but texts and options, so equal runs give equal bytes, on
// any number of threads and across an interruption. Systems are solved by a
// Cholesky factor, never by an inverse; a ridge is added only where it must be
// and is reported. Statistics of another model are refused.
package stats
