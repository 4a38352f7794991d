// Package compare evaluates several editors on the same base model, edits and
// metrics, trains those that are not there yet, and writes one table with plots.
//
// The central type is Runner. Read config.go (what is compared), run.go (doing
// it), report.go (the table, the reports and the plots).
//
// What is done already is not done again, so an interrupted comparison goes on;
// results that were measured differently are refused.
package compare
