// Package serac is SERAC (Mitchell et al. 2022, Memory-Based Model Editing at
// Scale, arXiv 2206.06520): the base model stays as it is; edits are texts in a
// memory; a scope classifier tells whether a query is about one of them, and a
// counterfactual model, which has that edit in front of the query, answers where it
// is. Classifier and counterfactual model are trained (keyhole train), an edit then
// is an entry in a list.
//
// The central types are Learner (the two networks, and how they are trained) and
// Memory (edits, and who answers a query). Read config.go, measure.go (how alike a
// query and an edit are), learner.go, layout.go (the texts of a step), build.go and
// ops.go (its graph), score.go, then memory.go and editor.go.
//
// # The reference
//
// zjunlp/EasyEdit's SERAC and eric-mitchell/serac. `compat: reference` computes what
// the former does: the classifier sees edits without the last word, a separator
// behind, and queries with their answers; both networks learn from the mixture of
// the two models' probabilities, on the edit itself and on unrelated text, whose
// rows stand one place late; answers are mixed too, and of equally near edits the
// first counts. Without it, prompts alone decide, once, an edit is learned from its
// rephrasings with the right edit in front, the classifier from pairs (Mitchell et
// al., §3.2), a decision is hard, an edit of the same prompt takes the place of the
// earlier one, and of equally near edits the latest counts. Left out is its
// classifier that reads query and edit together (cross_attend), off by default there.
package serac
