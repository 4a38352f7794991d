// Package ft edits by fine-tuning a few weights on the requests: the baseline
// that the papers compare with.
//
// The central type is Editor. Read config.go (variants and defaults), ft.go
// (the loop), replay.go (in a sequence), batch.go (requests as rows), graph.go (the differentiable part),
// change.go (what comes out).
//
// Variants:
//
//	ft    weight and bias of the MLP's second layer of one block
//	ft-l  the same in block 0, every entry kept within ε of where it began
//	      (the paper's FT+L)
//	ft-m  the weight alone; the target's tokens are learnt behind the prompt
//	      (EasyEdit's FT-M)
//	lora  y += α/r·(x·Uᵀ)·D beside frozen weights (Hu et al. 2022)
//
// Objectives: "answer" is the mean over requests of the mean over target tokens
// of −log p(token | prompt, earlier target tokens). "last_token" reads all
// target tokens from the one distribution behind the prompt, as the ROME
// repository and EasyEdit's FT-L do; it is there to reproduce tables, for it
// teaches several tokens at once. For targets of one token both are the same.
// EasyEdit's "FT-L" names the objective, not the constraint; reports state
// objective, layers and ε beside the name.
//
// Sources: Zhu et al. 2020 (the constraint); Meng et al. 2022 and its
// repository; EasyEdit; Adam as in package kernel.
//
// In a sequence each edit is trained into the model that the earlier ones left. With
// replay it is the base model that is trained, on all edits so far in mini-batches:
// what LocFT does, which trains on a whole set of edits for a few epochs.
//
// # Promises
//
// The model is never written to: copies are trained, and everything below the
// first edited block is computed once. The result depends on requests, config
// and model alone, not on threads. A loss that is not finite is an error.
package ft
