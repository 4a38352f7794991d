// Package keyvalue is what ROME and MEMIT share: an MLP's second linear layer
// seen as a memory that answers a key, its input at a token of the subject, with
// a value, its output there.
//
// The central functions are States (keys and values as they are) and Optimise
// (v*, the value that makes the model say the target). Read fact.go (a request
// in tokens), contexts.go (what is put in front of it), states.go, then
// layout.go, suffix.go and loss.go (the graph of what v* can change) and
// optimise.go (Adam with its stops and its clamp).
//
// Source: Meng et al. 2022, "Locating and Editing Factual Associations in GPT",
// section 3.1 and its published code, whose choices count where the two differ.
//
// Promises: a run computes only blocks behind the edited one and tokens from the
// looked-up one to the last that the loss reads, takes kept keys and values for
// those before, and makes logits only where the loss reads them: the result is that
// of whole runs. Equal input gives equal bytes on any number of threads. The model
// is not changed.
package keyvalue
