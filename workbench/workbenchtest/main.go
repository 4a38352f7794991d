// Package workbenchtest is for tests of packages that open the embedded model.
package workbenchtest

import (
	"fmt"
	"os"
	"testing"
)

// Main runs a package's tests with one cache, which is removed behind them: the
// embedded model is unpacked, and the statistics of a layer are collected, once.
func Main(m *testing.M) {
	dir, err := os.MkdirTemp("", "keyhole")
	if err == nil {
		err = os.Setenv("XDG_CACHE_HOME", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}
