// Package eval measures editors: it makes edits, asks the base model and the
// edited one the same things, and turns the answers into the field's figures.
//
// The central function is Run. Read runner.go, protocol.go and sequence.go (the order of
// things), header.go (what figures depend on), scorer.go (many prompts in one
// forward pass, for both models), metrics.go (the list of metric families) and one family, basic.go;
// then results.go (the file that an interrupted evaluation resumes from) and
// report.go (averages). record.go is the record that every figure carries.
//
// Definitions follow the papers that introduced the metrics: MEND (Mitchell et
// al. 2022) for reliability, generalization, locality and drawdown, ROME (Meng
// et al. 2022) for ES, PS, NS, GE and RS, KnowEdit (Zhang et al. 2024), MQuAKE
// (Zhong et al. 2023), and "The Mirage of Model Editing" (Yang et al. 2025) for
// free generation.
//
// # Promises
//
//   - The reference is always the base model, whatever the protocol; what it
//     answers is computed once.
//   - Scores do not depend on how many edits or prompts share a pass, nor on the
//     number of threads.
//   - Figures with different records are never averaged.
//   - An evaluation that was cut off anywhere goes on, and its file ends the same
//     byte for byte as that of an uninterrupted one.
package eval
