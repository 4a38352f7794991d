// Package datatest is the conformance suite of package data.
//
// Run checks every format of data.Formats against the samples of a folder; Edits
// checks what must hold of any loaded set. A new format needs only its folder of
// samples: good/NAME.jsonl or .json with NAME.want.json, and bad/NAME.jsonl or
// .json with NAME.want, the error. Run with update set writes the .want files
// anew.
//
// Reading order: datatest.go (the suite), read.go (one view of what the Load
// functions return).
package datatest
