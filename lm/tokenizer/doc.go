// Package tokenizer turns text into token ids and back.
//
// The central type is the interface Tokenizer. Behind it stands one pipeline
// for every kind of vocabulary, built like a Hugging Face tokenizer.json:
// tokens that stand in the text literally are cut out, the rest is normalised,
// split into words, and each word is cut into tokens by a model (BPE or
// WordPiece); decoding runs a chain of decoders over the tokens' texts.
// Vocabularies from other formats (vocab.json with merges.txt, the metadata of
// a GGUF file, our own training) are first brought into that form, so that
// what Files writes and what Encode does cannot differ.
//
// Reading order: tokenizer.go (interface and pipeline), aligned.go (text that
// remembers where it came from), added.go, normalize.go, split.go, scan.go,
// bpe.go, wordpiece.go, decode.go; then where tokenizers come from: spec.go
// (tokenizer.json), components.go, load.go (folders), gguf.go and metadata.go,
// train.go, build.go.
//
// Sources: Sennrich et al. 2016 (BPE), Radford et al. 2019 (byte-level BPE),
// Kudo and Richardson 2018 (SentencePiece), Devlin et al. 2019 (WordPiece).
// Where these leave room the behaviour is that of the Hugging Face tokenizers
// library, with which published models were trained or are run.
//
// Promises: ids equal those of Hugging Face tokenizers, but for characters that
// are newer than that library's Unicode tables; tokenizers are immutable and
// safe for concurrent use; no input text makes them fail or panic, and hostile
// vocabulary files are refused with an error that names file and fault.
// Truncation and padding wishes in tokenizer.json are ignored: the caller cuts.
package tokenizer
