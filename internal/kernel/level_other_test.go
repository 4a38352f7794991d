//go:build !amd64

package kernel

import "testing"

// eachLevel runs f with the plain Go primitives, the only ones here.
func eachLevel(t *testing.T, f func(t *testing.T)) { t.Run("go", f) }
