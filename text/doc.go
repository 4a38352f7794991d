// Package text turns requests into tokens, and lays texts out for a model.
//
// Read tokens.go (prompt and answer as one text), pack.go (texts one behind the
// other in one matrix), prefix.go (the blocks below the first edited one, run
// once for each text).
package text
