// Package safetensors reads and writes safetensors, single files and the folders that
// Hugging Face programs keep models in: one model.safetensors, or shards with
// an index. It knows nothing of architectures.
//
// The central type is File, a tensorfile.File over one file or all shards.
// Read file.go (opening), header.go (the format of one file), index.go (shards),
// then entry.go (what is to be written), write.go (one file) and shards.go
// (folders).
//
// Source: the safetensors format description and, where that is silent, the
// reference implementation in Rust. What we write is in
// docs/formats/safetensors.md.
//
// Promises: a file that breaks the format gives one *tensorfile.FormatError;
// no claimed size is believed before it is compared with the bytes that are
// there; no input makes it panic or hang; an index never leads outside its
// folder. Equal content is written as equal bytes, whole or not at all, and
// converted piece by piece.
package safetensors
