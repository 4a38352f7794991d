// Package data reads data sets for model editing into one record type.
//
// The central type is Edit: a prompt, the target to write, and the prompts that
// test the change (paraphrases, locality, portability, reverse). Records are text
// only; tokens are made above this package.
//
//	set, err := data.Load("counterfact.jsonl.gz", data.Options{Split: "train"})
//	parts, err := set.SplitBySubject(seed, 0.9, 0.1)
//	s := data.NewSampler(len(parts[0].Edits), seed)
//	edit := &parts[0].Edits[s.Next()]
//
// Reading order: edit.go (the record), load.go (Load, Set), formats.go (the list
// of formats), then one format, say zsre.go; fields.go is what its parser calls.
// scan.go and input.go find the records in a file; sampler.go and split.go order
// and divide them; facts.go and text.go read what is not an edit. The page
// docs/formats/datasets.md says where each format's fields go.
//
// Promises:
//   - The format comes from the content, gzip from its first bytes, never from a
//     file's name. Files are read as a stream, one record in memory at a time
//     beside the kept ones.
//   - A record that cannot be used is an error with file, line and field, or with
//     SkipBad a count under its reason; nothing is left out silently.
//   - No input makes it panic, and no record is longer than Options.MaxRecord.
//   - Ids, splits, samples and choices are functions of content and seed; they do
//     not depend on the order of records, on threads, or on earlier calls.
package data
