// Package gguf reads GGUF files: typed metadata and tensors, quantised ones
// included, straight from the mapped file. It knows nothing of architectures.
//
// The central type is File, a tensorfile.File with metadata. Read file.go
// (opening, tensors), then metadata.go (asking for values), then parse.go (the
// header), values.go (metadata values), kinds.go (tensor types) and cursor.go
// (bounds-checked reading).
//
// Source: the GGUF specification, versions 2 and 3, little-endian, and
// llama.cpp's reader where that is stricter.
//
// Promises: a file that breaks the format gives one *tensorfile.FormatError;
// no claimed count or size is believed before it is compared with the bytes
// that are there, so memory stays within a few times the file's size; no input
// makes it panic or hang.
package gguf
