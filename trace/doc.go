// Package trace finds the states that carry a fact, by causal tracing: the
// subject's embeddings are corrupted, one state after another is set back to
// what it was, and the return of the answer's probability is measured.
//
// The central type is Tracer; its outcome is a Result, a table of
// probabilities by token and block. Read config.go (what is corrupted, restored
// and severed), tokens.go, random.go and corrupt.go (the corruption as data),
// trace.go (the three runs), restore.go (the table, incrementally), record.go
// (attention over kept keys), then result.go, average.go and heatmap.go.
//
// Source: Meng et al. 2022, "Locating and Editing Factual Associations in GPT",
// section 2; windows, noise and severing as its published code has them. The
// masking variant replaces the subject's embeddings by one fixed vector.
//
// Promises: exact. A cell recomputes only what its restoration can change, the
// rows from its token on in the blocks behind it, reads the corrupted run's
// keys and values for the rest, and gives the bytes that a whole run gives. The
// noise is NumPy's RandomState of the seed, the same for every cell. The model
// is not changed.
package trace
