// Package checkpoints keeps a training run's states on disk: a folder per step,
// written whole or not at all, and verified to the bit when read.
//
// The central type is [Store], a folder that holds step-000120 and its like, and
// the pointers best and last, two small text files that name one of them. A step
// folder holds files written by the caller (safetensors) and manifest.json, the
// [Manifest]: all that a resumed run must know besides the tensors, and size and
// SHA-256 of each file. docs/formats/checkpoint.md describes the format for
// readers in other languages.
//
// Reading order: manifest.go (what is stored, its parser), store.go (open, list,
// pointers), save.go, load.go, prune.go, then lock.go for the run folder's lock.
//
// Promises:
//   - A save that fails or is killed at any moment leaves all earlier checkpoints
//     and both pointers valid; its leftovers are swept by the next [Open].
//   - Equal state gives equal bytes: a manifest holds no time and no host.
//   - [Store.Load] checks every byte. A flipped bit anywhere is a *[CorruptError]
//     that names the file, and a checkpoint that is intact, if there is one. Once
//     the damaged folder is deleted, [Store.Last] gives the latest intact one.
//   - One process writes at a time: [Open] takes a lock. [View] takes none and
//     changes nothing, so it may look on while a run saves.
//   - Files that this package did not write are never deleted by pruning.
package checkpoints
