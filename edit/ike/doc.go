// Package ike edits by context alone: demonstrations of how a new fact is to be
// used, then the fact, stand in front of each query, and no weight changes.
//
// The central type is Editor. Read config.go (variants and ablations), ike.go
// (what an edit is), demo.go (templates and kinds), retrieve.go and bm25.go
// (which records serve), fit.go (the context's length), store.go (edits kept
// over time).
//
// Variants:
//
//	ike           Zheng et al. 2023: records are retrieved, each serves one
//	              demonstration (copy : update : retain = 1 : 3 : 4, shuffled),
//	              the nearest stands last, then the fact's own copy
//	ike-easyedit  EasyEdit's method of the same name: ready-made sentences are
//	              retrieved whatever their kind, the nearest stands first
//	prompt        the new fact without demonstrations (the paper's PROMPT)
//
// A demonstration reads, with its blank line behind,
//
//	New Fact: <prompt> <target>⏎Prompt: <x> <y>⏎⏎
//
// and the context ends with "New Fact: <prompt> <target>⏎Prompt: ", behind
// which the query stands.
//
// Where it leaves the paper: neighbours are searched as its text says, not by
// the script that doesn't reproduce its published list (13 sentences a record,
// ids of sentences); a record with the edit's own prompt never serves; a record
// without a paraphrase or neighbour serves as copy, and the report counts these.
//
// # Several edits
//
// One request is in front of every query (memory none). Several form a store:
// a query gets the nearest fact whose similarity reaches the threshold, or
// nothing, and then it is the plain model that answers (memory store).
//
// # Promises
//
// The same config, pool, encoder and request give the same text. Nothing is cut
// silently: the least similar demonstrations are left out as a whole until the
// context, the query and an answer fit, the report says how many, and it is an
// error if the fact alone does not fit. The report names the retriever.
package ike
