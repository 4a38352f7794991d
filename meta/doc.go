// Package meta is the meta-objective of a learned editor as one
// graph: inner loss of the edit → its gradient's factors → hypernetwork →
// edited suffix → edit loss and locality KL → gradient of the network's
// parameters and step sizes.
//
// The central type is Objective. Read tokens.go (records as
// tasks) and objective.go (the picture in docs/design.md as code).
//
// Several independent edits (tasks) share one run; a task's results are the
// same as alone, except that in training the normaliser sees the tasks one
// after the other, as it would if they came one by one.
package meta
