//go:build !((linux || darwin) && (amd64 || arm64)) || static

package mpi

import "errors"

var errNone = errors.New("mpi: this build loads no libraries (its system cannot, or it was built with -tags static), so it cannot take part in a job of several processes; start it without a launcher")

// World is the processes of a job; in this build there is none.
type World struct{}

// Join fails: this build loads no libraries.
func Join(Launch) (*World, error) { return nil, errNone }

// Rank is 0.
func (*World) Rank() int { return 0 }

// Size is 1.
func (*World) Size() int { return 1 }

// Host is not known.
func (*World) Host() string { return "" }

// Library names none.
func (*World) Library() string { return "" }

// Traffic is none.
func (*World) Traffic() Traffic { return Traffic{} }

// Gather fails.
func (*World) Gather([]byte) ([][]byte, error) { return nil, errNone }

// Spread fails.
func (*World) Spread([]byte) error { return errNone }

// Leave fails.
func (*World) Leave(int) error { return errNone }

// Abort does nothing.
func (*World) Abort(int) {}
