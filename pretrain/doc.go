// Package pretrain makes a small language model that knows facts, and edits of
// these facts, from a recipe.
//
// The central type is Config, the recipe; Run follows it: facts are chosen
// (facts.go), rendered through several sentences each and packed into batches
// (corpus.go), learned by a GPT-2 whose every weight is trained through one
// graph (network.go), asked for again (known.go), and turned into counterfactual
// edits with paraphrases and unrelated prompts (edits.go); run.go holds it
// together and writes the result.
//
// Sources: Radford et al. 2019 (GPT-2), Loshchilov and Hutter 2019 (AdamW),
// Elazar et al. 2021 (ParaRel, the facts and sentences).
//
// Promises: equal recipes and facts give equal bytes, on any number of threads.
// The edits' subjects are disjoint between training, validation and held-out
// edits, and nothing that a training edit says names a subject of the others.
package pretrain
