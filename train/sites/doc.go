// Package sites finds the weights that an editor network best changes in a model:
// causal tracing says in which blocks facts are, and short trainings at a few places
// say at which of them a network learns.
//
// Read candidates.go (the places that a trace suggests), facts.go (what is traced),
// trial.go (the trainings), find.go (all of it, and the settings that come of it). The embedded model's facts, for example, are at the last
// token, CounterFact's in SmolLM2 at the subject's: the rows that change weights are a
// part of a place.
//
// Promises: the same model, edits and configuration give the same table, but for the
// times; trials leave nothing behind.
package sites
