// Package mend edits with a trained network: MEND's, or learned step sizes
// alone, whatever the objective's network is.
//
// The central type is Editor. Source: Mitchell et al. 2022, "Fast Model Editing
// at Scale"; the computation is that of package meta.
//
// Promises: a frozen normaliser, so an edit does not depend on earlier ones;
// ApplyEach gives each request the bytes that Apply gives it alone.
package mend
