// Package train meta-trains an editor: the loop over batches, two Adam
// optimisers, clipping, validation, early stopping, checkpoints, logs and
// resuming. It is the only place that knows about steps, signals and disks.
//
// The central type is Loop. Read config.go (everything that a YAML file may
// say), setup.go (from a config to a model, data and objective), loop.go (the
// step), state.go (what a checkpoint holds), log.go.
//
// Promise: what a run computes depends on its config alone. A run that was
// killed and resumed writes the same bytes into its final checkpoint as one
// that was not, for any number of threads.
package train
