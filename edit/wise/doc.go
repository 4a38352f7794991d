// Package wise keeps edits in side memories: copies of one MLP matrix, changed
// under random masks, which answer instead of it where a prompt moves their
// activations far enough.
//
// The side memory being written begins as the matrix itself. Each edit trains it
// by SGD on the edit's target and on margins that keep the activations of edits
// apart from those of an unrelated text. Every save_freq edits it is put aside and
// a new one begins under a new mask; every merge_freq edits the ones put aside are
// merged into one (TIES). A prompt goes through the memory that moves its
// activations most, if by more than a share of what its edits had at least.
//
// The central types are Editor and Memory. Read config.go, memory.go (routing,
// shards), merge.go, train.go, wise.go.
//
// Sources: Wang et al. 2024, "WISE: Rethinking the Knowledge Memory for Lifelong
// Model Editing of Large Language Models", and its published code; Yadav et al.
// 2023, "TIES-Merging". Where the code goes astray, compat: reference follows it;
// the default divides the loss by the number of tokens, lets no entry outside the
// mask drift, averages over no padding, adds the bias to both sides, and decides
// once a text, by its prompt. Left out is the code's replay of earlier edits, which is
// off in every published configuration.
//
// Promises: entries outside a mask stay the matrix's; a memory without edits
// sends every text through the matrix. Edits share entries, so none can be taken
// out alone: make the others anew.
package wise
