// Package grace edits a model without changing its weights: a codebook stands
// behind one linear layer and gives, for inputs near a key, a trained value
// instead of the layer's output (General Retrieval Adapter for Continual Editing).
//
// A key is the layer's input [in] at the last token of an edit's prompt, a value
// [out] is trained by Adam until the model says the target; each key has a radius.
// New prompts inside a radius make it shrink, grow, or train the value on, as
// their labels say.
//
// The central types are Editor and Codebook. Read config.go, codebook.go (what
// edits do to the keys, how prompts find them), train.go (the value), grace.go.
//
// Source: Hartvigsen et al. 2023, "Aging with GRACE: Lifelong Model Editing with
// Discrete Key-Value Adaptors", and its published code. Where that code goes
// astray, compat: reference follows it to the decision, and the default does what
// was meant: labels are compared as tokens; a prompt that is edited again gets the
// new answer; no radius grows by being split, and none reaches into the ball of a
// key with another answer; the first radius is measured in distances between
// prompts of the model, not in absolute numbers; a hit does not hang on rounding.
//
// Promises: a codebook is a function of its entries, one an edit, in their order;
// Forget gives the codebook that these edits without one make, to the bit. A
// prompt outside every radius gets what the unedited model gives.
package grace
