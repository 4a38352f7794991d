// Package kerneltest is the suite that every implementation of the matrix
// product passes.
//
// Read cases.go (the shapes and how operands are laid out), then product.go
// (right within rounding, and nothing else touched) and bytes.go (results that
// do not depend on threads, on neighbouring rows, or on the implementation).
//
// Promises: operands come from a fixed seed; tolerances follow from the length
// of the sums, not from what happened to pass; each check counts its cases.
package kerneltest
