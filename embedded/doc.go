// Package embedded holds the default base model, which knows a few thousand
// facts, and edits of these facts, both compiled into the program.
//
// Model, Train, Val, Test and Text give them; Manifest says how they came about.
// The assets are what `keyhole pretrain pretrain-facts --out embedded/assets`
// writes, with NOTICE beside them; read package pretrain for how they are made.
//
// The facts are ParaRel's (Elazar et al. 2021), taken from T-REx (ElSahar et
// al. 2018): see NOTICE and assets/NOTICE.
//
// Promises: what is given equals the manifest's checksums, wherever it lies on
// its way to the caller. The three sets of edits share no subject.
package embedded
