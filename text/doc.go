// Package text turns requests into tokens, and lays texts out for a model.
//
// Read tokens.go (Split, the one rule for prompt and answer), join.go (what
// stands between them), subject.go (where a subject stands), known.go (whether a
// model says an answer), shorten.go (cutting on request), pack.go (texts one
// behind the other in one matrix), shared.go (the same, common beginnings once),
// prefix.go (the blocks below the first edited one, run once for each text).
package text
