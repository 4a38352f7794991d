// Package verdict measures what an edit did, before anything of it is kept: for
// each request the answer and the target's probability before and after, and
// whether the target is said; for a fixed set of unrelated prompts how far the
// model drifted.
//
// The central type is Judge, made by Begin while the model is as it was before
// the edit; Measure does the whole for one edit. Read judge.go, then ask.go (the
// forward passes) and verdict.go (what came of it).
//
// A request is held if every token of its target is the most probable one behind
// the prompt, or if the greedy answer begins with the target as whole words.
//
// Drift is measured behind each unrelated prompt: does the most probable token
// stay, and KL(before ‖ after) of the whole distribution, in nats. Prompts that
// hold a request's subject, or its prompt, are left out. A model is broken if the
// mean KL is above a limit, or if it computes values that are no numbers.
package verdict
