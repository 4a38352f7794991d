// Package encoder turns sentences into vectors whose inner product says how
// alike they are in meaning: a BERT that reads Hugging Face folders of sentence
// encoders such as all-MiniLM-L6-v2.
//
// The central type is Encoder. Read encoder.go (use), folder.go (what is read
// from disk), bert.go (the network), then cache.go (vectors kept on disk).
//
// Sources: Devlin et al. 2019 (BERT); Reimers and Gurevych 2019
// (Sentence-BERT); the wiring is that of transformers' BertModel, the pooling
// that of sentence-transformers: token vectors averaged over the text, [CLS]
// and [SEP] included, then divided by their Euclidean norm.
//
// # Promises
//
// A text's vector is the same bytes alone, in any batch, and with any number
// of threads. Texts longer than MaxTokens are cut there, as the reference
// does. A folder that is not such an encoder is an error that says why. Cached
// vectors are keyed by the hashes of the encoder and of the texts, checked when
// they are read, and written whole or not at all.
package encoder
