// Package workbench opens what a piece of work on a model needs: the base model
// with its engine, and an editor on it, by name from the catalogue or from the
// folder of a run. It knows what the binary carries: a model, edits and a text.
//
// The central type is Bench. Read bench.go, then make.go (edits and their
// verdict), behind.go (edits of files), generate.go (what a model with them says),
// ingredients.go (statistics and demonstrations), trace.go, trained.go (a run's editor),
// train.go (training one), source.go (what the binary carries), and finder.go (where
// what has a name lies).
package workbench
