// Package mpitest lets tests run several processes: as goroutines (together.go),
// or by the launchers that are installed (launchers.go).
package mpitest
